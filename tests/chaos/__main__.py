"""`python -m tests.chaos`: a seeded fault run on a stack of its own, written to chaos/results; 1 where it failed."""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from random import Random, SystemRandom

from rich.console import Console

from deploy.local.demo import report
from deploy.local.demo.verdict import Check
from tests import throwaway_stack
from tests.bench import machine
from tests.chaos import faults, scenario
from tests.chaos.history import History
from tests.chaos.scenario import Scenario

FREEZER = "campaigns-work"
RESULTS = Path(__file__).resolve().parents[2] / "chaos" / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="default: a new one")
    parser.add_argument("--recipients", type=int, default=3000)
    parser.add_argument("--rate", type=int, default=60, help="messages a second (default 60)")
    parser.add_argument("--kill", default=",".join(faults.PROCESSES), help="comma separated; default: each once")
    parser.add_argument(
        "--careless-carrier", action="store_true", help="checks the audit: a carrier that ignores keys must fail it"
    )
    asked = parser.parse_args()
    victims = in_order(asked.kill.split(","), asked.seed)
    console = Console()
    wanted = Scenario(asked.seed, asked.recipients, asked.rate, victims, careless_carrier=asked.careless_carrier)
    console.print(f"seed {wanted.seed}: killing {', '.join(wanted.victims)}")
    found, history = run(wanted)
    path = write(wanted, found, history)
    for event in history.events:
        console.print("  " + " ".join(f"{name}={value}" for name, value in event.items()), highlight=False)
    right = report.checks(console, found)
    console.print(f"written to {path}")
    if not right:
        console.print(f"again: python -m tests.chaos --seed {wanted.seed} --recipients {wanted.recipients}")
    return 0 if right else 1


def in_order(names: list[str], seed: int) -> tuple[str, ...]:
    """campaigns-work first, which is killed while it freezes the audience; the others in an order of the seed."""
    Random(seed).shuffle(names)
    if FREEZER in names:
        names.remove(FREEZER)
        names.insert(0, FREEZER)
    return tuple(names)


def run(wanted: Scenario) -> tuple[list[Check], History]:
    history = History()
    with throwaway_stack.started("chaos") as stack:
        history.began = time.monotonic()
        found = asyncio.run(scenario.play(wanted, stack, history))
        if not all(check.holds for check in found):
            throwaway_stack.keep_logs(stack.home)
    return found, history


def write(wanted: Scenario, found: list[Check], history: History) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"kill-{wanted.seed}.json"
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.facts(),
        "scenario": asdict(wanted),
        "holds": all(check.holds for check in found),
        "checks": [asdict(check) for check in found],
        "history": history.events,
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
