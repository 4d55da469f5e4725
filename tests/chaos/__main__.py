"""`python -m tests.chaos [campaign|segments|rolling]`: a seeded run on a stack of its own, written to chaos/results.

Ends with 1 where something is wrong. `python -m tests.chaos WHICH --help` has the options of each.
"""

import argparse
import sys
from functools import partial
from random import Random, SystemRandom

from rich.console import Console

from deploy.local.demo import report
from deploy.local.processes import INFRASTRUCTURE
from tests.chaos import faults, runs, scenario
from tests.chaos.rolling import scenario as of_a_rolling
from tests.chaos.scenario import Scenario
from tests.chaos.segments import scenario as of_segments

FREEZER = "campaigns-work"
RUNS = ("campaign", "segments", "rolling")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="which", required=True)
    campaign_options(kinds.add_parser("campaign", help="a campaign while every process is killed in turn (default)"))
    segments_options(kinds.add_parser("segments", help="segments while everything changes, against the oracle"))
    rolling_options(kinds.add_parser("rolling", help="every component replaced under load; no client may notice"))
    given = sys.argv[1:]
    named = given[:1] and given[0] in (*RUNS, "-h", "--help")
    asked = parser.parse_args(given if named else ["campaign", *given])
    return {"campaign": of_a_campaign, "segments": of_the_segments, "rolling": of_a_rollout}[asked.which](asked)


def campaign_options(parser: argparse.ArgumentParser) -> None:
    seed_option(parser)
    parser.add_argument("--recipients", type=int, default=3000)
    parser.add_argument("--rate", type=int, default=60, help="messages a second (default 60)")
    parser.add_argument("--kill", default=",".join(faults.PROCESSES), help="comma separated; default: each once")
    parser.add_argument(
        "--careless-carrier", action="store_true", help="checks the audit: a carrier that ignores keys must fail it"
    )


def segments_options(parser: argparse.ArgumentParser) -> None:
    seed_option(parser)
    parser.add_argument("--changes", type=int, default=100_000, help="contacts changed in all (default 100000)")
    parser.add_argument("--rounds", type=int, default=4, help="parts, with an audit after each (default 4)")


def rolling_options(parser: argparse.ArgumentParser) -> None:
    seed_option(parser)
    parser.add_argument("--recipients", type=int, default=3000)
    parser.add_argument("--rate", type=int, default=20, help="messages a second (default 20)")
    parser.add_argument("--replicas", type=int, default=2, help="of each component (default 2)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is replaced (default 1)")
    parser.add_argument("--no-tls", action="store_true", help="between the services; with it certificates are renewed")


def seed_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="default: a new one")


def of_a_campaign(asked: argparse.Namespace) -> int:
    victims = in_order(asked.kill.split(","), asked.seed)
    console = Console()
    wanted = Scenario(asked.seed, asked.recipients, asked.rate, victims, careless_carrier=asked.careless_carrier)
    console.print(f"seed {wanted.seed}: killing {', '.join(wanted.victims)}")
    found, history = runs.run(partial(scenario.play, wanted))
    path = runs.write(f"kill-{wanted.seed}", wanted, found, history)
    right = runs.tell(console, found, history, against=report.CARRIER)
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


def of_the_segments(asked: argparse.Namespace) -> int:
    console = Console()
    wanted = of_segments.Scenario(asked.seed, asked.changes, asked.rounds)
    again = f"python -m tests.chaos segments --seed {wanted.seed} --changes {wanted.changes} --rounds {wanted.rounds}"
    console.print(f"seed {wanted.seed}: {wanted.changes:,} changes of contacts, killing {', '.join(wanted.victims)}")
    found, history = runs.run(partial(of_segments.play, wanted), environ=of_segments.ENVIRON)
    path = runs.write(f"segments-{wanted.seed}", wanted, found, history)
    right = runs.tell(console, found, history, against="the oracle, over the contacts that the API shows")
    console.print(f"written to {path}")
    if not right:
        console.print(f"again: {again}")
    return 0 if right else 1


def of_a_rollout(asked: argparse.Namespace) -> int:
    console = Console()
    wanted = of_a_rolling.Scenario(
        asked.seed, asked.recipients, asked.rate, asked.replicas, asked.rounds, tls=not asked.no_tls
    )
    console.print(f"seed {wanted.seed}: replacing {', '.join(of_a_rolling.ORDER)}, {wanted.replicas} of each")
    found, history = runs.run(partial(of_a_rolling.play, wanted), only=INFRASTRUCTURE)
    path = runs.write(f"rolling-{wanted.seed}", wanted, found, history)
    right = runs.tell(console, found, history, against="the clients, the feed, and the carrier's log")
    console.print(f"written to {path}")
    if not right:
        console.print(f"again: python -m tests.chaos rolling --seed {wanted.seed} --replicas {wanted.replicas}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
