"""A benchmark's outcome: a table for people, JSON under bench/results for machines."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import machine

RESULTS = Path(__file__).resolve().parents[2] / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Outcome:
    """name is the file's; figures are plain JSON values, units in their names."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: Mapping[str, object]
    # What the run was asked to do: seeds, rounds, sizes.
    settings: Mapping[str, object] = field(default_factory=dict)
    # Limits that were not held, each as a sentence.
    missed: Sequence[str] = ()


def publish(outcome: Outcome, console: Console, *, folder: Path = RESULTS) -> Path:
    """Prints the table and writes the JSON; returns where."""
    table = Table(title=outcome.title, title_justify="left")
    for number, column in enumerate(outcome.columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in outcome.rows:
        table.add_row(*row)
    console.print(table)
    for sentence in outcome.missed:
        console.print(f"[red]missed:[/] {sentence}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.name}.json"
    document = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": machine.facts(), **asdict(outcome)}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    console.print(f"written to {path}\n")
    return path
