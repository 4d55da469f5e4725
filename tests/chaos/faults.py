"""kill -9, and the wait until the process is back."""

import asyncio
import os
import signal
import time

from deploy.local import plan, readiness
from tests.chaos.history import History
from tests.throwaway_stack import ThrowawayStack

# In what the issue names; each is one process of the stack.
PROCESSES = (
    "contacts", "segments", "campaigns", "gateway",
    "contacts-work", "segments-work", "campaigns-work", "gateway-work", "nats",
)  # fmt: skip
BACK_SECONDS = 60.0


class NotBack(Exception):
    """A killed process was not restarted, or did not become ready."""


async def kill(stack: ThrowawayStack, name: str, *, history: History) -> None:
    """Ends the process with SIGKILL and returns when its successor is ready. Raises NotBack."""
    pid = stack.pid(name)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    history.add("killed", name=name, pid=pid)
    while _pid(stack, name) in (pid, None):
        await _pause(name, began, "was not restarted")
    restarted = time.monotonic() - began
    spec = plan.read(stack.home).specs[name]
    while (problem := await asyncio.to_thread(readiness.problem, spec)) is not None:
        await _pause(name, began, problem)
    history.add(
        "back", name=name, restarted_seconds=round(restarted, 3), ready_seconds=round(time.monotonic() - began, 3)
    )


def _pid(stack: ThrowawayStack, name: str) -> int | None:
    try:
        return stack.pid(name)
    except (FileNotFoundError, ValueError):  # It is just being written.
        return None


async def _pause(name: str, began: float, problem: str) -> None:
    if time.monotonic() - began > BACK_SECONDS:
        raise NotBack(f"{name} {problem} {BACK_SECONDS:.0f} s after it was killed")
    await asyncio.sleep(0.05)
