"""A run of any scenario: on a stack of its own, with its report."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from deploy.local import processes
from deploy.local.demo import report
from deploy.local.demo.verdict import Check
from tests import throwaway_stack
from tests.bench import machine
from tests.chaos.history import History
from tests.throwaway_stack import ThrowawayStack

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RESULTS = Path(__file__).resolve().parents[2] / "chaos" / "results"
Play = Callable[[ThrowawayStack, History], Awaitable[list[Check]]]


def run(
    play: Play, *, environ: dict[str, str] | None = None, only: Sequence[str] = processes.ALL
) -> tuple[list[Check], History]:
    """only: the processes of the stack that are started.

    The logs are kept where a check does not hold, or the run itself failed; then what happened is printed."""
    history = History()

    async def played(stack: ThrowawayStack) -> list[Check]:
        try:
            return await play(stack, history)
        except BaseException:
            print(*history.events, sep="\n", flush=True)
            raise

    with throwaway_stack.started("chaos", environ=environ, only=only) as stack:
        history.began = time.monotonic()
        found = asyncio.run(played(stack))
        if not all(check.holds for check in found):
            throwaway_stack.keep_logs(stack.home)
    return found, history


def tell(console: Console, found: list[Check], history: History, *, against: str) -> bool:
    """Prints what happened and what was found; whether all is right."""
    for event in history.events:
        console.print(
            "  " + " ".join(f"{name}={value}" for name, value in event.items()), highlight=False, markup=False
        )
    return report.checks(console, found, against=against)


def write(name: str, scenario: "DataclassInstance", found: list[Check], history: History) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.facts(),
        "scenario": asdict(scenario),
        "holds": all(check.holds for check in found),
        "checks": [asdict(check) for check in found],
        "history": history.events,
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return path
