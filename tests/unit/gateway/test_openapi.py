"""The committed OpenAPI is the code's, and worth generating from."""

import re
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from starlette.routing import Route

from services.gateway import api, openapi

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT: dict[str, Any] = api.build().openapi()
OPERATIONS = [
    (path, method, operation) for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
]


def test_the_committed_document_is_the_code_s() -> None:
    """`make openapi` writes it."""
    assert (ROOT / "openapi.json").read_text() == openapi.text(api.build())


def test_it_has_every_route_that_there_is() -> None:
    """But for those of segments and lists that are answered below /contacts too, and what tells no account's data."""
    known = {(method.upper(), path) for path, method, _ in OPERATIONS}
    others = set()
    for route in api.build().routes:
        assert isinstance(route, Route)
        if not isinstance(route, APIRoute):
            others.add(route.path)
            continue
        path = re.sub(r"^/v1/contacts/(lists|segments)\b", r"/v1/\1", route.path_format)
        assert {(method, path) for method in route.methods or ()} <= known, route.path
    assert others == {"/healthz", "/readyz", "/openapi.json", "/docs"}


def test_it_is_openapi_3_1_without_fastapi_s_own_error_shape() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert "HTTPValidationError" not in str(DOCUMENT)


def test_every_operation_is_named_summarised_tagged_and_lists_its_errors() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(names) == len(set(names)) > 40
    for path, method, operation in OPERATIONS:
        where = f"{method} {path}"
        assert operation["summary"], where
        assert len(operation["tags"]) == 1, where
        errors = {status for status in operation["responses"] if status >= "4"}
        assert "500" in errors, where
        assert {"401", "403"} <= errors or path.startswith(("/hooks/", "/t/")), where
        for status in errors:
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], f"{where} {status}"


def test_every_operation_shows_an_example_of_what_it_takes_and_answers() -> None:
    for path, method, operation in OPERATIONS:
        where = f"{method} {path}"
        for parameter in operation.get("parameters", ()):
            # A cursor cannot be made up, and of what a contact is looked up by one is shown.
            if parameter["in"] != "header" and parameter["name"] != "cursor" and path != "/v1/contacts/lookup":
                assert parameter.get("example") is not None, f"{where} {parameter['name']}"
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        bodies += [answer for status, answer in operation["responses"].items() if status < "3"]
        for content in (body.get("content", {}).get("application/json") for body in bodies):
            assert content is None or content.get("example"), where


def test_every_example_is_what_its_schema_says() -> None:
    for path, method, operation in OPERATIONS:
        bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in (body.get("content", {}).get("application/json") for body in bodies):
            if content is not None and content.get("example"):
                schema = {**content["schema"], "components": DOCUMENT["components"]}
                faults = [fault.message for fault in Draft202012Validator(schema).iter_errors(content["example"])]
                assert faults == [], f"{method} {path}"


def test_every_operation_says_its_scope() -> None:
    for path, method, operation in OPERATIONS:
        assert operation["x-required-scope"] != "none" or path.startswith(("/hooks/", "/t/")), f"{method} {path}"


def test_every_reference_leads_somewhere() -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [one for value in node.values() for one in references(value)]
        return [one for value in node for one in references(value)] if isinstance(node, list) else []

    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= known


def test_whatever_has_a_version_can_be_changed_on_a_condition() -> None:
    for path, item in DOCUMENT["paths"].items():
        answer = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
        name = answer.get("schema", {}).get("$ref", "").rpartition("/")[2]
        if "version" in DOCUMENT["components"]["schemas"].get(name, {}).get("properties", {}):
            for method in {"put", "patch", "delete"} & item.keys():
                assert "412" in item[method]["responses"], f"{method} {path}"
