"""Alerts say what the code measures, and what to do: a page for each, of four headings."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor

from tests.guard.alert_rules import MATCHER, ROOT, SELECTOR, Rule, alerts, rules, selectors
from tests.guard.test_metrics import in_code

RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
# Prometheus' own, and the client library's.
STANDARD = {"up", "process_start_time_seconds"}
# What the ServiceMonitor adds; `le` is of every histogram.
OF_TARGETS = {"namespace", "job", "component", "pod", "le"}


@cache
def measured() -> dict[str, set[str]]:
    """The labels of each series that the code makes, by name."""
    found: dict[str, set[str]] = {}
    for metric in (one.metric for one in in_code()):
        suffixes = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        found.update({metric.name + suffix: set(metric.labels) for suffix in suffixes})
    return found


def recorded() -> dict[str, set[str]]:
    return {rule["record"]: {"sli"} for rule in rules() if "record" in rule}


def test_there_are_alerts_to_look_at() -> None:
    assert len(alerts()) > 30
    assert len(measured()) > 60


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_series_that_the_code_makes(rule: Rule) -> None:
    known = measured() | recorded() | {name: set() for name in STANDARD}
    asked = list(selectors(rule["expr"]))
    assert asked
    for name, matchers in asked:
        assert name in known, f"nothing measures {name}"
        assert matchers.keys() <= known[name] | OF_TARGETS, f"{name} has no such label"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_one_installation(rule: Rule) -> None:
    """The chart puts the release's namespace and job in the place of `job="carillon"`."""
    assert all(matchers.get("job") == "carillon" for _, matchers in selectors(rule["expr"]))
    rest = SELECTOR.sub("", rule["expr"])
    assert not re.search(r"\bcarillon|\bup\b|_seconds|_total", rest), f"a series of everybody: {rest}"
    for grouped in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
        assert {"namespace", "job"} <= {label.strip() for label in grouped.split(",")}


def test_what_is_slow_by_design_is_what_streams() -> None:
    """Neither more nor less than the RPCs of streams is left out of what has to be answered in time."""
    streaming = {method.name for service in services() for method in service.methods if streams(method)}
    left_out = {
        value.removeprefix(".+/(").removesuffix(")")
        for rule in rules()
        for _, matchers in SELECTOR.findall(rule["expr"])
        for label, operator, value in MATCHER.findall(matchers)
        if (label, operator) == ("method", "!~")
    }
    assert [set(names.split("|")) for names in left_out] == [streaming]


def streams(method: object) -> bool:
    return bool(getattr(method, "client_streaming", False) or getattr(method, "server_streaming", False))


def services() -> Iterator[ServiceDescriptor]:
    for path in sorted((ROOT / "proto").rglob("*.proto")):
        name = str(path.relative_to(ROOT / "proto"))
        import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
        yield from descriptor_pool.Default().FindFileByName(name).services_by_name.values()


def test_routes_and_codes_of_the_rules_are_real() -> None:
    routes = set(json.loads((ROOT / "openapi.json").read_text())["paths"]) | {"/healthz", "/readyz"}
    for rule in rules():
        for _, matchers in selectors(rule["expr"]):
            assert set(filter(None, matchers.get("route", "").split("|"))) <= routes
            assert set(filter(None, matchers.get("code", "").split("|"))) <= {code.name for code in grpc.StatusCode}


def test_the_objectives_are_judged_alike() -> None:
    """So that what is tested of one holds for the others."""
    names = ("CarillonRestErrors", "CarillonRestSlow", "CarillonGrpcErrors", "CarillonGrpcSlow")
    judged = [
        [(rule["labels"], re.sub(r'sli="[a-z-]+"', "", rule["expr"])) for rule in alerts() if rule["alert"] == name]
        for name in names
    ]
    assert len(judged[0]) == 3
    assert all(one == judged[0] for one in judged)


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_is_and_how_urgent(rule: Rule) -> None:
    assert re.fullmatch("Carillon[A-Z][A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"].keys() == {"summary", "description"}


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"} == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in alerts()}))
def test_a_page_has_the_four_headings(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
    assert re.findall(r"^# (.*)$", text, re.MULTILINE)[:1] == [name]
    assert re.findall(r"^##+ (.*)$", text, re.MULTILINE) == HEADINGS
    for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert part.strip(), f"{name}: a heading with nothing below it"


def test_operations_list_every_alert_with_its_urgency() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[(\w+)\]\(runbooks/(\w+)\.md\) \| ([a-z, ]+) \|", page, re.MULTILINE)
    urgent: dict[str, set[str]] = {}
    for rule in alerts():
        urgent.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    assert [name for name, link, _ in listed if name != link] == []
    assert {name: set(severities.split(", ")) for name, _, severities in listed} == urgent
    assert len(listed) == len(urgent)
