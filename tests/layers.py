"""`python -m tests.layers [PYTEST ARGUMENTS] [--only LAYER]… [--long]`: the layers in order, each with a time budget.

Stops at the first layer that fails, and always ends with a table of what ran and pytest's own closing lines. A layer
over its budget is marked, and fails at three times the budget. reports/layers.json has the table for machines, and
reports/NAME.xml what pytest found.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / "reports"
BIN = Path(sys.executable).parent
PATIENCE = 3
CLOSING = re.compile(r"^=+ .*\b(passed|failed|errors?|skipped|no tests ran)\b.* in [0-9.]+s.*=+$")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Layer:
    """`tests`: pytest's arguments, for a layer of tests; `commands`: for the others."""

    name: str
    budget_seconds: int
    tests: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(slots=True)
class Outcome:
    name: str
    result: str
    seconds: float
    budget_seconds: int
    closing: str = ""


LINT = (
    (str(BIN / "ruff"), "check", "."),
    (str(BIN / "ruff"), "format", "--check", "."),
    (str(BIN / "lint-imports"),),
    (str(BIN / "buf"), "lint", "proto"),
    (PYTHON, "proto/generate.py", "--check"),
    (PYTHON, "-m", "tests.layers", "--only", "breaking"),
)
# Two workers, as on the smallest machine that is promised; a module's tests stay together, for its fixtures.
PARALLEL = ("-n", "2", "--dist", "loadfile")
LAYERS = (
    Layer("lint", 60, commands=LINT),
    Layer("types", 120, commands=((str(BIN / "mypy"),),)),
    Layer("guard", 60, tests=("tests/guard",)),
    Layer("helm", 120, tests=("tests/helm", *PARALLEL)),
    Layer("unit", 60, tests=("tests/unit", *PARALLEL)),
    Layer("service", 240, tests=("tests/service", *PARALLEL)),
    Layer("e2e", 180, tests=("tests/e2e",)),
    Layer("dashboards", 90, tests=("tests/dashboards",)),
    Layer("chaos", 240, tests=("tests/chaos",)),
)
SHORT = ("-m", "not slow")
LONG_RUNS = ("campaign", "segments", "rolling")
LONG_RUN = Layer("chaos-long", 900, commands=tuple((PYTHON, "-m", "tests.chaos", name) for name in LONG_RUNS))
LONG_FACTOR = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.layers", description=__doc__)
    parser.add_argument("--only", action="append", help="a layer by name; may be repeated")
    parser.add_argument("--long", action="store_true", help="the long forms too, with ten times the budgets")
    asked, pytest_arguments = parser.parse_known_args()
    if asked.only == ["breaking"]:
        return breaking()
    if pytest_arguments:
        return subprocess.run(
            [PYTHON, "-m", "pytest", *pytest_arguments], cwd=ROOT, env=clean(), check=False
        ).returncode
    layers = [layer for layer in LAYERS if not asked.only or layer.name in asked.only]
    if asked.long:
        layers.append(LONG_RUN)
    return run(layers, long=asked.long)


def run(layers: list[Layer], *, long: bool) -> int:
    REPORTS.mkdir(exist_ok=True)
    outcomes: list[Outcome] = []
    try:
        for layer in layers:
            print(f"\n── {layer.name} " + "─" * (76 - len(layer.name)), flush=True)
            outcomes.append(play(layer, long=long))
            if outcomes[-1].result != "ok":
                break
    finally:
        report(layers, outcomes)
    return 0 if outcomes and all(outcome.result == "ok" for outcome in outcomes) else 1


def play(layer: Layer, *, long: bool) -> Outcome:
    budget = layer.budget_seconds * (LONG_FACTOR if long else 1)
    began = time.monotonic()
    result, closing = "ok", ""
    for command in commands(layer, long=long):  # all of them: one message after another would cost a run each
        code, closing = execute(command, seconds=budget * PATIENCE - (time.monotonic() - began))
        if code != 0:
            result = "out of time" if code == -signal.SIGKILL else "FAILED"
    return Outcome(layer.name, result, round(time.monotonic() - began, 1), budget, closing)


def commands(layer: Layer, *, long: bool) -> list[tuple[str, ...]]:
    if not layer.tests:
        return list(layer.commands)
    colour = ("--color=yes",) if sys.stdout.isatty() else ()
    report_file = (f"--junitxml={REPORTS / layer.name}.xml",)
    return [(PYTHON, "-m", "pytest", *layer.tests, *(() if long else SHORT), *colour, *report_file)]


def execute(command: tuple[str, ...], *, seconds: float) -> tuple[int, str]:
    """(exit code, pytest's closing line); the output is passed on as it comes."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    watchdog = threading.Timer(max(1.0, seconds), kill, [process])
    watchdog.start()
    closing = ""
    try:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            plain = COLOUR.sub("", line).strip()
            if CLOSING.match(plain):
                closing = plain
        return process.wait(), closing
    finally:
        watchdog.cancel()
        if process.poll() is None:
            kill(process)


def kill(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def clean() -> dict[str, str]:
    """Tests start their own stacks: a shell that is set up for another one must not lead them there."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CARILLON_")}


def report(layers: list[Layer], outcomes: list[Outcome]) -> None:
    (REPORTS / "layers.json").write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=2) + "\n")
    print(f"\n{'layer':12} {'result':12} {'seconds':>8} {'budget':>8}")
    done = {outcome.name: outcome for outcome in outcomes}
    for layer in layers:
        outcome = done.get(layer.name)
        if outcome is None:
            print(f"{layer.name:12} {'not run':12} {'':8} {layer.budget_seconds:8}")
            continue
        over = "  over its budget" if outcome.seconds > outcome.budget_seconds else ""
        print(f"{outcome.name:12} {outcome.result:12} {outcome.seconds:8.1f} {outcome.budget_seconds:8}{over}")
    print(f"{'total':12} {'':12} {sum(outcome.seconds for outcome in outcomes):8.1f}\n")
    for outcome in outcomes:
        if outcome.closing:
            print(outcome.closing)


def breaking() -> int:
    """proto/ against what main last committed of it; there is nothing to compare with in a copy without history."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        print("buf breaking: no git history here, skipped")
        return 0
    for branch in ("main", "origin/main"):
        known = subprocess.run(
            [git, "-C", str(ROOT), "cat-file", "-e", f"{branch}:proto/buf.yaml"], capture_output=True, check=False
        )
        if known.returncode == 0:
            against = f".git#ref={branch},subdir=proto"
            return subprocess.run(
                [str(BIN / "buf"), "breaking", "proto", "--against", against], cwd=ROOT, check=False
            ).returncode
    print("buf breaking: main has no proto/ yet, skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
