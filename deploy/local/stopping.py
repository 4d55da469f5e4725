"""The end of a process that this one started."""

import subprocess
from typing import Any

PATIENCE_SECONDS = 10.0


def stop(process: "subprocess.Popen[Any]") -> None:
    """Asked to, and made to where it does not; nothing where it has ended."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
