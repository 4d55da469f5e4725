"""Prometheus and promtool: no wheel carries them, so they come from the machine or from its Debian archive.

Taken from PATH; else from the cache; else fetched by apt, which checks the archive's signatures, and unpacked into the
cache. Nothing is installed, and root is not needed. `python -m deploy.local.prometheus` prints the folder.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import ports, stopping

PACKAGE = "prometheus"
FETCH_SECONDS = 180.0
START_SECONDS = 30.0


class Missing(Exception):
    """Neither there nor to be had; says why. A test skips with it, and is not passed."""


@dataclass(frozen=True, slots=True)
class Tools:
    prometheus: Path
    promtool: Path


def tools() -> Tools:
    """Raises Missing."""
    found = {name: shutil.which(name) for name in ("prometheus", "promtool")}
    if all(found.values()):
        return Tools(**{name: Path(str(path)) for name, path in found.items()})
    home = cache() / "usr" / "bin"
    if not (home / "promtool").exists():
        fetch(cache())
    return Tools(home / "prometheus", home / "promtool")


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "carillon" / "prometheus"


def fetch(into: Path) -> None:
    """Unpack the archive's package there, all or nothing. Raises Missing."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise Missing(f"prometheus is not on PATH, and there is no {program} to fetch it with")
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prometheus-", dir=into.parent) as name:
        scratch = Path(name)
        download(scratch)
        (package,) = scratch.glob("*.deb")
        command(["dpkg-deb", "-x", str(package), str(scratch / "tree")], scratch)
        try:
            (scratch / "tree").rename(into)
        except OSError:
            if not (into / "usr" / "bin" / "promtool").exists():  # else another process was first
                raise


def download(scratch: Path) -> None:
    """The package, by the machine's lists of the archive; by lists of its own where there are none."""
    # apt's unprivileged user cannot write into a folder of ours.
    apt = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root"]
    try:
        command([*apt, "download", PACKAGE], scratch)
    except Missing:
        for folder in ("lists/partial", "archives/partial"):
            (scratch / folder).mkdir(parents=True)
        own = ["-o", f"Dir::State::Lists={scratch}/lists", "-o", f"Dir::Cache={scratch}"]
        command([*apt, *own, "update"], scratch)
        command([*apt, *own, "download", PACKAGE], scratch)


def command(arguments: list[str], folder: Path) -> None:
    """Raises Missing where it fails."""
    try:
        done = subprocess.run(arguments, cwd=folder, check=False, capture_output=True, text=True, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired as expired:
        raise Missing(f"prometheus: {arguments[0]} did not end in {FETCH_SECONDS:.0f} s") from expired
    if done.returncode != 0:
        raise Missing(f"prometheus: {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")


class Server:
    """A running Prometheus that this process started."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.url = f"http://{ports.HOST}:{port}"
        self.process = process

    def get(self, path: str, **parameters: str) -> Any:
        """`data` of an answer of the HTTP API, as `/api/v1/query`. Raises ValueError with Prometheus' own words."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise ValueError(refused.read().decode()) from refused

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query, now. Raises ValueError."""
        return list(self.get("/api/v1/query", query=expression)["result"])

    def stop(self) -> None:
        stopping.stop(self.process)


def start(folder: Path, targets: Mapping[str, str], *, interval: str = "1s") -> Server:
    """Scrape the targets, component → host:port of its ops port; each was looked at when it returns.

    The folder is made when absent. Raises Missing.
    """
    program = tools().prometheus
    folder.mkdir(parents=True, exist_ok=True)
    # YAML reads JSON.
    (folder / "prometheus.yml").write_text(json.dumps(configuration(targets, interval)))
    port = ports.choose()
    with (folder / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(
            [
                str(program), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={ports.HOST}:{port}", "--enable-feature=exemplar-storage",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    server = Server(folder, port, process)
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(server) or len(server.query("up")) < len(targets):
        if process.poll() is not None or time.monotonic() > deadline:
            server.stop()
            raise RuntimeError(f"Prometheus did not start; see {folder / 'prometheus.log'}")
        time.sleep(0.05)
    return server


def configuration(targets: Mapping[str, str], interval: str) -> dict[str, Any]:
    """The labels are those that the chart's ServiceMonitor gives."""
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {
                "job_name": "carillon-ops",
                "static_configs": [
                    {"targets": [address], "labels": {"namespace": "local", "component": name, "pod": name}}
                    for name, address in targets.items()
                ],
            }
        ],
    }


def is_ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/-/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    print(tools().promtool.parent)
