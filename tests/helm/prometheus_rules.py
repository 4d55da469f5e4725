"""promtool, and the rules as the chart renders them."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local import prometheus
from tests.guard.alert_rules import selectors
from tests.helm.rendering import CHART, Object, of_kind, render
from tests.helm.settings import ROOT

# promtool's unit tests, each over the rules of the group that it is named after.
TESTS = sorted((ROOT / "tests" / "alerts").glob("*.yaml"))
ON = ("--values", str(CHART / "ci" / "minimal-values.yaml"), "--set", "prometheusRules.enabled=true")

Rule = dict[str, Any]


def promtool(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        program = prometheus.tools().promtool
    except prometheus.Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def groups(*arguments: str) -> list[Object]:
    (found,) = of_kind(render(*(arguments or ON)), "PrometheusRule")
    return list(found["spec"]["groups"])


def rules(*arguments: str) -> list[Rule]:
    return [rule for group in groups(*arguments) for rule in group["rules"]]


def alerts(*arguments: str) -> list[Rule]:
    return [rule for rule in rules(*arguments) if "alert" in rule]


def is_of(rule: Rule, labels: dict[str, str]) -> bool:
    """Whether an alert with these labels comes of the rule."""
    return all(labels.get(name) == value for name, value in rule["labels"].items())


@cache
def cases() -> list[tuple[set[str], Rule]]:
    """(names of the series that are there, what is expected) of every expectation in the unit tests."""
    found = []
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            series = {re.split(r"[{ ]", one["series"])[0] for one in test["input_series"]}
            found += [(series, expectation) for expectation in test["alert_rule_test"]]
    return found


def read_by(rule: Rule, sli: str | None = None) -> set[str]:
    """Names of the measured series that a rule comes down to, through what is recorded. sli: of what is recorded."""
    found: set[str] = set()
    for name, matchers in selectors(rule["expr"]):
        which = matchers.get("sli", sli)
        sources = [
            one for one in rules() if one.get("record") == name and one.get("labels", {}).get("sli") in (None, which)
        ]
        found |= {name} if not sources else set().union(*(read_by(source, which) for source in sources))
    return found
