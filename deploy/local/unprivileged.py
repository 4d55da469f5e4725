"""Who Postgres runs as. It refuses to run as root, and then the other user must also reach its files."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Present on every Unix, owns nothing, and so need not be created on anybody's machine.
STAND_IN = "nobody"


@dataclass(frozen=True, slots=True)
class User:
    """`uid` is None where the process keeps the user that it is started by."""

    uid: int | None = None
    gid: int | None = None

    def popen_options(self) -> dict[str, Any]:
        """Keyword arguments of subprocess.Popen and run; "/" is a working folder that every user can enter."""
        if self.uid is None:
            return {"cwd": "/"}
        return {"cwd": "/", "user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Asked of the system rather than read from the mode bits, so that ACLs and mounts count too."""
        probe = subprocess.run(
            ["/bin/sh", "-c", 'cd -- "$0"', str(folder)],
            check=False,
            stderr=subprocess.DEVNULL,
            **self.popen_options(),
        )
        return probe.returncode == 0

    def can_run(self, program: Path) -> bool:
        try:
            subprocess.run(
                [str(program), "--version"],
                check=True,
                capture_output=True,
                **self.popen_options(),
            )
        except (OSError, subprocess.CalledProcessError):
            return False
        return True


def current() -> User:
    """The user that is not root: the caller, or a stand-in when the caller is root."""
    if os.geteuid() != 0:
        return User()
    entry = pwd.getpwnam(STAND_IN)
    return User(entry.pw_uid, entry.pw_gid)


def reachable_twin(folder: Path) -> Path:
    """Where the files of a folder go that the stand-in cannot reach (below /root, or a 0700 test folder).

    The same folder always gets the same place; it survives a reboot wherever /var/lib can be written.
    """
    name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:20]
    for parent in (Path("/var/lib"), Path("/var/tmp"), Path(tempfile.gettempdir())):
        place = parent / "carillon-local"
        try:
            place.mkdir(mode=0o755, exist_ok=True)
            place.chmod(0o755)
        except OSError:
            continue
        return place / name
    raise OSError("neither /var/lib nor a temporary folder can be written")


def copy_for(user: User, package: Path, *, trees: list[str]) -> Path:
    """A copy, made once per version of it, of a Python package's folders that `user` can read.

    `trees` are relative to the folder that holds the package: programs find their libraries beside them.
    """
    site = package.parent
    stamps = [f"{site / tree} {(site / tree).stat().st_mtime_ns}" for tree in trees if (site / tree).exists()]
    target = reachable_twin(site / hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:20])
    if not target.exists():
        scratch = Path(tempfile.mkdtemp(dir=target.parent))
        for tree in trees:
            if (site / tree).exists():
                shutil.copytree(site / tree, scratch / "site" / tree, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", str(scratch / "site")], check=True)
        try:
            (scratch / "site").rename(target)
        except OSError:
            if not target.exists():  # else another process made it first
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return target / package.name
