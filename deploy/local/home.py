"""Where a stack keeps its files. Several stacks live side by side, each in a folder of its own."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# All that a stack makes in its folder: what `reset` removes, and nothing else, whatever folder it was pointed at.
MADE = ("env", "state.json", "pids", "logs", "run", "postgres", "nats", "carrier", "demo")


@dataclass(frozen=True, slots=True)
class Home:
    folder: Path

    @property
    def env(self) -> Path:
        return self.folder / "env"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"

    @property
    def plan(self) -> Path:
        return self.folder / "run" / "plan.json"

    @property
    def lock(self) -> Path:
        return self.folder / "run" / "lock"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def nats(self) -> Path:
        return self.folder / "nats"

    @property
    def carrier(self) -> Path:
        return self.folder / "carrier"

    def pid(self, name: str) -> Path:
        """Holds the pid of one process, for scripts."""
        return self.folder / "pids" / f"{name}.pid"

    def record(self, name: str) -> Path:
        """What the supervisor knows of one process, or of itself (`supervisor`)."""
        return self.folder / "run" / f"{name}.process.json"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def make(self) -> None:
        for name in ("pids", "logs", "run"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        for name in MADE:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def find(environ: Mapping[str, str] = os.environ) -> Home:
    """CARILLON_HOME, else .carillon in the repository. A relative one counts from the current folder."""
    asked = environ.get("CARILLON_HOME")
    return Home(Path(asked).expanduser().resolve() if asked else REPOSITORY / ".carillon")
