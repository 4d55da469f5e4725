"""Alerts as the chart renders them, judged by promtool: every rule is seen to fire, and to be quiet where it should."""

import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.guard.test_runbooks import blocks
from tests.helm.prometheus_rules import TESTS, Rule, alerts, cases, groups, is_of, promtool, read_by, rules
from tests.helm.rendering import CHART, NAMESPACE, RELEASE, Object, every_values, of_kind, render_file, template

FULL = CHART / "ci" / "full-values.yaml"
MINIMAL = ("--values", str(CHART / "ci" / "minimal-values.yaml"))
ENABLED = [path for path in every_values() if of_kind(render_file(path), "PrometheusRule")]
THRESHOLDS = json.loads((CHART / "values.schema.json").read_text())["properties"]["prometheusRules"]["properties"][
    "thresholds"
]["properties"]


def name_of(rule: Rule) -> str:
    return "-".join([rule["alert"], *(str(value) for value in rule["labels"].values())])


def without_annotations(group: Object) -> Object:
    """Tests expect labels; what is said beside them is looked at below."""
    return group | {"rules": [{k: v for k, v in rule.items() if k != "annotations"} for rule in group["rules"]]}


@pytest.mark.parametrize("values", ENABLED, ids=lambda path: path.stem)
def test_prometheus_understands_every_rule(values: Path, tmp_path: Path) -> None:
    (found,) = of_kind(render_file(values), "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found["spec"]))
    done = promtool("check", "rules", "rules.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(tests: Path, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    for group in groups():
        file = tmp_path / "rules" / f"{group['name'].removeprefix('carillon.')}.yaml"
        file.write_text(yaml.safe_dump({"groups": [without_annotations(group)]}))
    (tmp_path / tests.name).write_text(tests.read_text())
    done = promtool("test", "rules", tests.name, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_the_queries_of_runbooks(tmp_path: Path) -> None:
    asked = [line for _, text in blocks("promql") for line in text.splitlines()]
    assert len(asked) > 30
    recordings = [{"record": f"asked:{at}", "expr": expression} for at, expression in enumerate(asked)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": recordings}]}))
    done = promtool("check", "rules", "rules.yaml", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", alerts(), ids=name_of)
def test_every_alert_is_seen_to_fire(rule: Rule) -> None:
    assert firing(rule), f"no test in tests/alerts expects {name_of(rule)}"


@pytest.mark.parametrize("rule", alerts(), ids=name_of)
def test_every_alert_is_seen_to_be_quiet_while_its_series_are_there(rule: Rule) -> None:
    quiet = [
        series
        for series, expectation in cases()
        if expectation["alertname"] == rule["alert"]
        and not any(is_of(rule, one["exp_labels"]) for one in expectation.get("exp_alerts", ()))
    ]
    assert any(read_by(rule) <= series for series in quiet), f"no quiet test has {sorted(read_by(rule))}"


def firing(rule: Rule) -> list[dict[str, str]]:
    """The labels of each expected alert of the rule."""
    return [
        one["exp_labels"]
        for _, expectation in cases()
        if expectation["alertname"] == rule["alert"]
        for one in expectation.get("exp_alerts", ())
        if is_of(rule, one["exp_labels"])
    ]


@pytest.mark.parametrize("rule", alerts(), ids=name_of)
def test_an_alert_speaks_of_labels_that_it_has(rule: Rule) -> None:
    named = {label for text in rule["annotations"].values() for label in re.findall(r"\$labels\.(\w+)", text)}
    assert all(named <= labels.keys() for labels in firing(rule))


@cache
def of_full() -> list[Rule]:
    return alerts("--values", str(FULL))


def test_an_alert_leads_to_its_page_and_to_its_team() -> None:
    for rule in of_full():
        assert rule["annotations"]["runbook_url"] == f"https://docs.example.com/carillon/runbooks/{rule['alert']}.md"
        assert rule["labels"]["team"] == "messaging"
        assert rule["labels"]["severity"] in ("page", "ticket")
    for rule in alerts():
        page = CHART.parents[2] / rule["annotations"]["runbook_url"]
        assert page.is_file(), "the default leads to the repository's own pages"


def test_rules_ask_for_this_release_alone() -> None:
    for rule in rules():
        asked = re.findall(r"[a-z_:0-9]+\{([^}]*)\}", rule["expr"])
        assert asked
        assert all(f'namespace="{NAMESPACE}", job="{RELEASE}-ops"' in matchers for matchers in asked), rule["expr"]


def test_the_job_is_what_the_operator_names_after_the_service_of_metrics() -> None:
    names = [each["metadata"]["name"] for each in of_kind(render_file(FULL), "Service")]
    assert f"{RELEASE}-ops" in names


def test_a_threshold_takes_the_place_of_the_number_at_the_end() -> None:
    mine, usual = ({rule["alert"]: rule["expr"].strip() for rule in found} for found in (of_full(), alerts()))
    assert mine["CarillonOutboxOld"] == usual["CarillonOutboxOld"].removesuffix(" > 60") + " > 120"
    assert mine["CarillonEventLoopLag"] == usual["CarillonEventLoopLag"].removesuffix(" > 0.5") + " > 0.25"
    assert {name for name, expr in mine.items() if expr != usual[name]} == {"CarillonOutboxOld", "CarillonEventLoopLag"}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_whose_threshold_may_be_another_has_one(name: str) -> None:
    (rule,) = [rule for rule in alerts() if rule["alert"] == name]
    assert len(re.findall(r" > [0-9.]+", rule["expr"])) == 1
    assert re.search(r" > [0-9.]+\s*$", rule["expr"])


def test_who_does_without_an_alert_has_all_the_others() -> None:
    assert {rule["alert"] for rule in alerts()} - {rule["alert"] for rule in of_full()} == {"CarillonWebhooksFailing"}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("prometheusRules.disabled={CarillonFoo}", "prometheusRules.disabled: there is no alert CarillonFoo"),
        ("prometheusRules.thresholds.CarillonDeadLetters=3", "Additional property CarillonDeadLetters is not allowed"),
        ("prometheusRules.thresholds.CarillonOutboxOld=0", "CarillonOutboxOld: Must be greater than 0"),
        ("prometheusRules.runbooks=https://example.com/", "prometheusRules.runbooks: Does not match pattern"),
    ],
)
def test_a_wrong_value_is_refused_by_name(wrong: str, said: str) -> None:
    done = template(*MINIMAL, "--set", "prometheusRules.enabled=true", "--set", wrong)
    assert done.returncode != 0
    assert said in done.stderr
