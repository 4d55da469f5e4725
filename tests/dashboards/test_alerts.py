"""What alerts ask for is there, under the labels that they ask by; so a quiet alert is not a blind one."""

import pytest

from tests.dashboards.conftest import Shown
from tests.guard.alert_rules import MATCHER, SELECTOR, Rule, alerts, rules
from tests.guard.test_alerts import recorded

# Series that a run need not have, and why.
ABSENT = {"code": "calls seldom fail within a service; which codes there are is known to gRPC"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
async def test_every_series_that_a_rule_asks_for_is_there(shown: Shown, rule: Rule) -> None:
    for name, matchers in asked(rule["expr"]):
        if name not in recorded():
            assert shown.values(f"{name}{{{matchers}}}"), f"no series of {name}{{{matchers}}}"


def asked(expression: str) -> list[tuple[str, str]]:
    """Names and matchers, without the job and without what may be absent."""
    found = []
    for name, matchers in SELECTOR.findall(expression):
        kept = [
            f'{label}{operator}"{value}"'
            for label, operator, value in MATCHER.findall(matchers)
            if label not in {"job", *ABSENT}
        ]
        found.append((name, ", ".join(kept)))
    return found


async def test_prometheus_makes_out_every_rule(shown: Shown) -> None:
    """Vectors that cannot be matched, or that match twice, show only over real series."""
    for rule in alerts():
        shown.values(rule["expr"].replace('job="carillon"', 'job="carillon-ops"'))
    for rule in rules():
        if "record" in rule and "carillon:sli" not in rule["expr"]:
            assert shown.values(rule["expr"].replace('job="carillon"', 'job="carillon-ops"')), rule["expr"]
