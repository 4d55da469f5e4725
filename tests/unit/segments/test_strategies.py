"""That differential tests look at anything: what they draw holds about as often as not."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from services.segments.domain.fields import FIELDS, Kind, find
from services.segments.domain.grammar import Operator
from tests.unit.segments import oracle
from tests.unit.segments.strategies import PATHS, cases, everything


def test_every_operator_holds_about_as_often_as_not():
    asked, held, kinds = Counter[str](), Counter[str](), set[Kind]()

    @settings(
        max_examples=600, derandomize=True, database=None, phases=[Phase.generate], deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases())
    def count(case):
        for leaf in leaves([*case.definitions, *case.segments.values()]):
            operator = leaf["operator"].removeprefix("not_")
            alone = {"conditions": [leaf | {"operator": operator}]}
            field = find(leaf["field"])
            assert field is not None
            kinds.add(field.kind)
            for person in case.people:
                asked[operator] += 1
                held[operator] += oracle.holds(alone, person.contact, person.engagement, case.now, case.segments)

    count()

    assert asked.keys() == set(Operator)
    shares = {operator: held[operator] / count for operator, count in asked.items()}
    assert {operator: share for operator, share in shares.items() if not 0.15 < share < 0.85} == {}
    assert kinds == set(Kind)


def test_everybody_who_has_everything_has_it():
    """Or tests that go through all fields would ask for nothing."""
    assert {name[2:] for name in everything().facts} >= {*FIELDS, *PATHS} - {"segments"}


def leaves(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for inner in node:
            yield from leaves(inner)
    elif "field" in node:
        yield node
    else:
        for inner in node.values():
            yield from leaves(inner)
