"""`python -m tests.bench [name …]`: runs benchmarks, prints tables, writes bench/results/*.json."""

import sys
from collections.abc import Callable
from importlib import import_module

from rich.console import Console

from tests.bench import record

# Name → module with `run() -> Outcome`, in the order in which all are run. Imported when wanted: a benchmark of a
# driver should not need the stack, nor the other way round.
BENCHES = {
    "import": "tests.bench.import_file",
    "freshness": "tests.bench.freshness",
    "rest": "tests.bench.rest",
    "dispatch": "tests.bench.dispatch",
    "driver": "tests.bench.decisions.driver",
    "grpc_server": "tests.bench.decisions.grpc_server",
    "asgi_server": "tests.bench.decisions.asgi_server",
}


def main(names: list[str]) -> int:
    """The number of benchmarks that missed a limit; 2 for a name that there is none of."""
    console = Console()
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        console.print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
        return 2
    missed = 0
    for name in names or BENCHES:
        run: Callable[[], record.Outcome] = import_module(BENCHES[name]).run
        outcome = run()
        record.publish(outcome, console)
        missed += bool(outcome.missed)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
