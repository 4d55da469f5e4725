"""`python -m tests.image [TAG]`: every process of a stack, run from the image as the chart runs it.

Postgres, NATS and the carrier are the local ones; the rest are containers of podman with the host's network: nobody's
user, a root file system that nobody writes, no capabilities. They migrate empty databases, become ready, do one errand
through the front door, and stop when they are told to. deploy/docker/image.sh builds the image.
"""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.local import databases, ports, postgres, processes, readiness, stack, state
from deploy.local.home import REPOSITORY, Home
from deploy.local.processes import Spec
from deploy.local.state import State

HOME = Home(REPOSITORY / ".carillon-image")
READY_SECONDS, STOP_SECONDS, ERRAND_SECONDS = 120.0, 40.0, 30.0


class Failed(Exception):
    """The message says what, and what the container said."""


def podman(name: str, image: str, settings: Mapping[str, str], *arguments: str) -> list[str]:
    return [
        "podman", "run", "--rm", "--name", f"carillon-image-{name}", "--runtime", os.environ.get("RUNTIME", "runc"),
        "--network=host", "--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp:rw,size=256m,mode=1777",
        "--cap-drop=ALL", "--security-opt=no-new-privileges", "--ulimit", "nofile=1024:1024",
        "--ulimit", "nproc=1024:1024",
        # By name: values of secrets are in no argument.
        *(option for key in settings for option in ("--env", key)), image, *arguments,
    ]  # fmt: skip


def migrate(known: State, image: str) -> None:
    server = postgres.prepare(HOME.postgres).url(known.ports["postgres"])
    for service in databases.SERVICES:
        databases.create(server, service, passwords=known.passwords[service])
        settings = processes.service_settings(known, service, mode="migrate", nats_url="")
        command = podman(f"{service}-migrate", image, settings, service, "migrate")
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"{service} migrate: {done.stdout}{done.stderr}")
        print(f"ok: {service} migrate")


@contextmanager
def container(spec: Spec, image: str) -> Iterator[None]:
    """Runs the process, and checks how it stops."""
    settings = {key: value for key, value in spec.env.items() if key.startswith("CARILLON_") and key != processes.TAG}
    log = HOME.log(spec.name)
    with log.open("wb") as output:
        # The command's last two: service and mode.
        command = podman(spec.name, image, settings, *spec.command[-2:])
        process = subprocess.Popen(command, env=os.environ | settings, stdout=output, stderr=output)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        if process.wait(STOP_SECONDS) != 0:
            raise Failed(f"{spec.name} ended with {process.returncode}: {tail(log)}")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def wait_ready(spec: Spec) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while problem := readiness.problem(spec):
        if time.monotonic() > deadline:
            raise Failed(f"{spec.name} {problem}: {tail(HOME.log(spec.name))}")
        time.sleep(0.1)
    print(f"ok: {spec.name} is ready")


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def errand(known: State, image: str) -> None:
    """A contact that becomes a member of a segment: through the gateway, two services, and NATS."""
    settings = processes.service_settings(known, "gateway", mode="migrate", nats_url="")
    command = podman("account", image, settings, "accounts", "create", "image")
    made = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    key = made.stdout.strip().splitlines()[-1]
    rule = {"field": "tags", "operator": "contains", "value": "premium"}
    segment = call(known, key, "POST", "/v1/segments", {"name": "Premium", "conditions": [rule]})["id"]
    call(known, key, "POST", "/v1/contacts", {"phone": "+15550100001", "tags": ["premium"]})
    deadline = time.monotonic() + ERRAND_SECONDS
    while call(known, key, "GET", f"/v1/segments/{segment}")["member_count"] != 1:
        if time.monotonic() > deadline:
            raise Failed("the contact has not become a member of the segment")
        time.sleep(0.1)
    print("ok: a contact is a member of its segment")


def call(known: State, key: str, method: str, path: str, body: object = None) -> dict[str, object]:
    request = urllib.request.Request(
        processes.gateway_url(known) + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with readiness.DIRECT.open(request, timeout=ERRAND_SECONDS) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def main() -> int:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    image = f"localhost/carillon:{sys.argv[1] if len(sys.argv) > 1 else project['version']}"
    stack.reset(HOME)
    environ = processes.environment(HOME, os.environ) | {"CARILLON_PORT": str(ports.choose())}
    try:
        stack.up(HOME, only=processes.INFRASTRUCTURE, environ=environ, demo=False)
        known = state.load(HOME)
        migrate(known, image)
        specs = processes.specs(HOME, known, environ=environ)
        running = [specs[name] for name in (*processes.SERVING, *processes.WORKING)]
        with ExitStack() as containers:
            for spec in running:
                containers.enter_context(container(spec, image))
            for spec in running:
                wait_ready(spec)
            errand(known, image)
        print("ok: every process stopped when it was told to")
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        stack.reset(HOME)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
