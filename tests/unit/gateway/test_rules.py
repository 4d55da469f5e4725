"""What the OpenAPI says of rules is what the segments service takes."""

from typing import Any

import pytest

from services.gateway import api
from services.gateway.convert.segments import rule_json
from services.gateway.schemas import rules
from services.segments.domain import faults, fields, grammar

SCHEMAS: dict[str, Any] = api.build().openapi()["components"]["schemas"]


def test_the_same_fields_and_operators() -> None:
    properties = SCHEMAS["Condition"]["properties"]
    assert set(properties["field"]["anyOf"][0]["enum"]) == set(fields.FIELDS)
    operators = list(grammar.Operator)
    assert properties["operator"]["enum"] == [*operators, *(grammar.NEGATION + one for one in operators)]
    for root in fields.CUSTOM:
        assert fields.find(f"{root}.x") is not None
        assert root in properties["field"]["anyOf"][1]["pattern"]


def test_the_same_limits() -> None:
    properties = SCHEMAS["Condition"]["properties"]
    assert properties["field"]["anyOf"][1]["maxLength"] == max(map(len, fields.CUSTOM)) + len(".") + fields.MAX_PATH
    text, *_, several, _ = properties["value"]["anyOf"]
    assert (text["maxLength"], several["maxItems"]) == (faults.MAX_VALUE, grammar.MAX_VALUES)
    assert SCHEMAS["RuleGroup"]["properties"]["all"]["maxItems"] == grammar.MAX_LEAVES
    assert f"depth {grammar.MAX_DEPTH}" in SCHEMAS["Rule"]["description"]
    # Of the longest rule that the grammar takes, a good part can be sent.
    assert rules.MAX_RULE_BYTES > grammar.MAX_LEAVES * faults.MAX_VALUE


def test_a_rule_is_one_recursive_shape_wherever_it_stands() -> None:
    assert SCHEMAS["Rule"]["anyOf"] == [
        {"$ref": "#/components/schemas/RuleGroup"}, {"$ref": "#/components/schemas/Condition"}
    ]  # fmt: skip
    group = SCHEMAS["RuleGroup"]
    assert group["properties"]["not"] == {"$ref": "#/components/schemas/Rule"}
    assert group["properties"]["any"]["items"] == {"$ref": "#/components/schemas/Rule"}
    assert "required" not in group
    for name in ("SegmentCreate", "SegmentUpdate", "SegmentPreview", "Segment"):
        properties = SCHEMAS[name]["properties"]
        assert properties["rules"]["$ref"] == "#/components/schemas/Rule"
        assert properties["conditions"]["items"] == {"$ref": "#/components/schemas/Condition"}
        assert not {"rules", "conditions"} & set(SCHEMAS[name].get("required", ()))
    assert not [name for name in SCHEMAS if name.endswith(("-Input", "-Output"))]


@pytest.mark.parametrize("name", ["Condition", "Rule", "RuleGroup", "SegmentCreate", "SegmentUpdate", "SegmentPreview"])
def test_every_example_is_a_rule(name: str) -> None:
    examples = SCHEMAS[name]["examples"]
    assert examples
    for example in examples:
        if name.startswith("Segment"):
            definition = {part: example[part] for part in rules.PARTS if part in example}
        else:
            definition = {"rules": example}
        if definition:
            grammar.parse(definition)


def test_a_rule_travels_byte_for_byte_as_json() -> None:
    body = rules.Definition.model_validate({"rules": {"not": {"field": "ß", "operator": 5, "value": [1.0, None]}}})
    assert rule_json(body) == '{"rules":{"not":{"field":"ß","operator":5,"value":[1.0,null]}}}'
