"""`python -m tests.bench [name …]`: runs benchmarks, prints tables, writes bench/results/*.json."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module

from rich.console import Console

from tests.bench import record

# Name → module with `run() -> Outcome`, in the order in which all are run. Imported when wanted: a benchmark of a
# driver should not need the stack, nor the other way round.
BENCHES = {
    "import": "tests.bench.import_file",
    "import_million": "tests.bench.import_million",
    "import_formats": "tests.bench.import_formats",
    "export": "tests.bench.export_file",
    "freshness": "tests.bench.freshness",
    "matching": "tests.bench.matching",
    "segments_live": "tests.bench.segments_live",
    "segments_backfill": "tests.bench.segments_backfill",
    "segments_flips": "tests.bench.segments_flips",
    "bulk": "tests.bench.bulk",
    "rest": "tests.bench.rest",
    "rest_costs": "tests.bench.rest_costs",
    "search": "tests.bench.search",
    "dispatch": "tests.bench.dispatch",
    "receipts": "tests.bench.receipts",
    "recipients": "tests.bench.recipients",
    "audience_freeze": "tests.bench.audience_freeze",
    "stopping": "tests.bench.stopping",
    "dispatch_memory": "tests.bench.dispatch_memory",
    "webhooks": "tests.bench.webhooks",
    "backup": "tests.bench.backup",
    "driver": "tests.bench.decisions.driver",
    "grpc_server": "tests.bench.decisions.grpc_server",
    "asgi_server": "tests.bench.decisions.asgi_server",
}


def main() -> int:
    """1 where a benchmark missed a limit; 2 for a name that there is none of."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*BENCHES, []], help=f"of {', '.join(BENCHES)}; default: all")
    parser.add_argument("--rounds", type=int, help="instead of each benchmark's own number")
    asked = parser.parse_args()
    console, missed = Console(), False
    for name in asked.name or BENCHES:
        run: Callable[..., record.Outcome] = import_module(BENCHES[name]).run
        outcome = run() if asked.rounds is None else run(asked.rounds)
        record.publish(outcome, console)
        missed = missed or bool(outcome.missed)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
