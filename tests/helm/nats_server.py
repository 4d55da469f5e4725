"""A nats-server with the configuration that the chart gives it, in a folder of its own."""

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from deploy.local import nats as local_nats
from deploy.local import ports

START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    port: int
    process: "subprocess.Popen[bytes]"

    def url(self, user: str, password: str) -> str:
        return f"nats://{user}:{password}@{ports.HOST}:{self.port}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def start(folder: Path, configuration: str, environment: dict[str, str]) -> Running:
    """The configuration as it is, but for where it listens and stores. Waits until JetStream is ready."""
    port = ports.choose()
    monitor = ports.choose(frozenset({port}))
    replaced = {
        r'"0\.0\.0\.0:4222"': f'"{ports.HOST}:{port}"',
        r'"0\.0\.0\.0:8222"': f'"{ports.HOST}:{monitor}"',
        r'"/data"': f'"{folder / "data"}"',
    }
    for pattern, text in replaced.items():
        configuration, times = re.subn(pattern, text, configuration)
        assert times == 1, pattern
    file = folder / "nats.conf"
    file.write_text(configuration)
    with (folder / "nats.log").open("wb") as log:
        process = subprocess.Popen(
            [str(local_nats.binary()), "--config", str(file)], env=os.environ | environment, stdout=log, stderr=log
        )
    server = Running(port, process)
    probe = local_nats.Installation(folder, port, monitor, password="")
    deadline = time.monotonic() + START_SECONDS
    while not local_nats.is_ready(probe):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise AssertionError((folder / "nats.log").read_text())
        time.sleep(0.02)
    return server
