"""The naive evaluator: what a rule means, one contact and one condition at a time, in the words of the contract."""

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import normalize

from services.segments.domain.rules import Condition


def same_case(text: str) -> str:
    """Written apart from domain/text.py, after Unicode 15, D145, so that a slip there shows here."""
    return normalize("NFC", normalize("NFD", text).casefold())


def holds(conditions: Sequence[Condition], contact: Mapping[str, Any]) -> bool:
    """contact: name, phone, email (text or None) and tags (a list), as a person wrote them."""
    return all(condition_holds(condition, contact[condition.field]) for condition in conditions)


def condition_holds(condition: Condition, field: Any) -> bool:
    values = field if isinstance(field, list) else [] if field is None else [field]
    is_tags = condition.field == "tags"
    return any(
        compares(condition.operator, same_case(value), same_case(wanted), whole=is_tags)
        for value in values
        for wanted in condition.values
    )


def compares(operator: str, value: str, wanted: str, *, whole: bool) -> bool:
    """whole: `contains` looks for the whole value, as on tags."""
    if operator == "equals":
        return value == wanted
    if operator == "contains":
        return value == wanted if whole else wanted in value
    if operator == "starts_with":
        return value[: len(wanted)] == wanted
    return len(value) >= len(wanted) and value[len(value) - len(wanted) :] == wanted
