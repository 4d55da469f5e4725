"""Every query of every panel shows something, of a stack that works and is then broken."""

import json
import math
from collections.abc import Iterator
from typing import Any

from deploy.dashboards.written import FOLDER
from tests.dashboards.conftest import Shown

# What Grafana puts in. Everything that was scraped is of one namespace and job.
VARIABLES = {
    "$__rate_interval": "8s",
    "$__range": "10m",
    "$namespace": "local",
    "$job": "carillon-ops",
    "$component": ".*",
    "$durable": ".*",
}


def shown_panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """With the dashboard that each is of."""
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] not in ("row", "text"):
                yield path.stem, panel


def filled_in(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression.replace("${1}", ""), f"a variable that this test does not know: {expression}"
    return expression


def fault(shown: Shown, panel: dict[str, Any]) -> str:
    """What is wrong with a panel; empty where nothing is."""
    highest = -math.inf
    for target in panel["targets"]:
        values = shown.values(filled_in(target["expr"]))
        if not values:
            return f"no data: {target['expr']}"
        highest = max(highest, *values)
    if highest <= 0:
        return "0 throughout: make it happen in ordinary.py or faults.py"
    return "" if panel["targets"] else "no query"


async def test_every_panel_shows_something(shown: Shown) -> None:
    found = {f"{dashboard}: {panel['title']}": fault(shown, panel) for dashboard, panel in shown_panels()}
    assert len(found) > 100
    assert {panel: what for panel, what in found.items() if what} == {}
