"""A second `segments work` beside the stack's own, reconciliation as its command, and what both repaired."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

from deploy.local import plan, ports, processes, stack
from deploy.local.home import REPOSITORY
from deploy.local.plan import Plan
from tests.throwaway_stack import ThrowawayStack

FIRST, SECOND = "segments-work", "segments-work-2"
RECONCILE_SECONDS = 300.0


def start_second(running: ThrowawayStack) -> None:
    """Supervised as the first is, so that it may be killed. Returns when it is ready."""
    current = plan.read(running.home)
    first = current.specs[FIRST]
    bind = processes.address(ports.choose())
    settings = {**first.env, "CARILLON_OPS_BIND": bind}
    second = replace(first, name=SECOND, env=settings, ready=f"http://{bind}/readyz")
    stack.supervise(running.home, Plan({**current.specs, SECOND: second}, current.restart))
    stack.wait_taken(running.home)
    stack.wait_ready(running.home, {SECOND: second})


async def reconcile(running: ThrowawayStack) -> str:
    """What `carillon segments reconcile`, over every account, says in the end."""
    process = await asyncio.create_subprocess_exec(
        *processes.carillon("segments", "reconcile"),
        env=plan.read(running.home).specs[FIRST].env,
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(RECONCILE_SECONDS):
        output, _ = await process.communicate()
    _, done, said = output.decode().rpartition("done: ")
    return f"{done}{said}".strip().replace("\n", "; ")


def repaired(running: ThrowawayStack) -> Counter[str]:
    """What the workers' logs tell of repairs; metrics begin anew with every kill."""
    found: Counter[str] = Counter()
    for name in (FIRST, SECOND):
        for line in running.log(name).read_text(errors="replace").splitlines():
            if "reconcile.repaired" in line:
                entry = json.loads(line)
                found[entry["what"]] += entry["number"]
    return found
