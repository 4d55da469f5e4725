"""The dashboards of the chart are what deploy/dashboards makes, and every panel of them can be read."""

import json
import re
from typing import Any

from deploy.dashboards.written import DASHBOARDS, FOLDER, differences
from tests.guard.test_metrics import on_page

# Of Prometheus itself, and of its client library.
GIVEN = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
SUFFIXES = re.compile(r"_(bucket|sum|count)$")
NAME = re.compile(r"\b(?:carillon|process)_[a-z0-9_]+|\bup(?={)")


def panels() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.stem}: {panel['title']}", panel)
        for path in FOLDER.glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        if panel["type"] not in ("row", "text")
    ]


def test_the_files_in_the_chart_are_up_to_date() -> None:
    assert differences() == [], "run `make dashboards`"


def test_every_panel_says_what_it_shows() -> None:
    for name, panel in panels():
        assert len(panel["description"]) > 10, name
        assert panel["fieldConfig"]["defaults"]["unit"], name
        if panel["type"] in ("timeseries", "bargauge"):
            assert all(target["legendFormat"] != "__auto" for target in panel["targets"]), f"{name} names no series"


def test_queries_ask_for_the_chosen_installation_and_for_metrics_that_there_are() -> None:
    listed = {one.name: one for one in on_page()}
    asked = set()
    for name, panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            names = NAME.findall(expression)
            assert names, name
            assert expression.count('{namespace=~"$namespace",job=~"$job"') == len(names), name
            for found in names:
                metric = found if found in listed else SUFFIXES.sub("", found)
                assert metric in listed or found in GIVEN, f"{name}: {found}"
                asked.add(metric)
    # What nobody looks at need not be measured.
    assert listed.keys() - asked == set()


def test_dashboards_lead_to_one_another() -> None:
    uids = {dashboard.uid for dashboard in DASHBOARDS}
    for name, panel in panels():
        for link in panel["links"]:
            assert link["url"].removeprefix("/d/").partition("?")[0] in uids, name
    assert len(uids) == len(DASHBOARDS) == 8


def test_panels_stand_beside_one_another() -> None:
    for path in FOLDER.glob("*.json"):
        taken: set[tuple[int, int]] = set()
        found = json.loads(path.read_text())["panels"]
        assert [panel["id"] for panel in found] == list(range(1, len(found) + 1))
        for panel in found:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, f"{path.stem}: {panel['title']}"
            taken |= cells
