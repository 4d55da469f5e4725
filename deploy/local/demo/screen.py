"""Progress on a terminal as bars, elsewhere as plain lines now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

LINE_SECONDS = 2.0


class Count(ProgressColumn):
    """So many of how many."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {task.total:,.0f}"
        return Text(f"{task.completed:,.0f}{total}", style="progress.download")


class Bars:
    """Several counters of one step."""

    def __init__(self, console: Console, progress: Progress | None) -> None:
        self._console = console
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._values: dict[str, tuple[int, int | None]] = {}
        self._printed = time.monotonic()

    def show(self, name: str, done: int, total: int | None) -> None:
        """total None: unknown as yet."""
        self._values[name] = (done, total)
        if self._progress is None:
            self._print_now_and_then()
        elif name in self._tasks:
            self._progress.update(self._tasks[name], completed=done, total=total)
        else:
            self._tasks[name] = self._progress.add_task(name, completed=done, total=total)

    def _print_now_and_then(self) -> None:
        if time.monotonic() - self._printed >= LINE_SECONDS:
            self._printed = time.monotonic()
            self._console.print("  " + "   ".join(_words(name, *value) for name, value in self._values.items()))


def _words(name: str, done: int, total: int | None) -> str:
    return f"{name} {done:,}" + (f" of {total:,}" if total is not None else "")


class Screen:
    def __init__(self, console: Console) -> None:
        self.console = console

    def step(self, title: str) -> None:
        self.console.print(f"\n[bold]{title}[/]")

    def say(self, text: str) -> None:
        self.console.print(f"  {text}")

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        if not self.console.is_terminal:
            yield Bars(self.console, None)
            return
        columns = (
            TextColumn("  {task.description:<10}"),
            BarColumn(bar_width=40),
            Count(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            yield Bars(self.console, progress)
