"""Every call of the documents that this API was merged from, as docs/dialects.md lists them, is answered and tested."""

import ast
import json
import re
from pathlib import Path
from typing import NamedTuple

from fastapi.routing import APIRoute

from services.gateway import api

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| [^|]+ \| `([A-Z]+) (\S+)` \| `(\w+)` \| `(\w+\.py)::(\w+)` \|$", re.MULTILINE)
# How many calls each document shows.
CALLS = {"000": 8, "001": 7, "002": 18, "003": 7, "004": 18}


class Call(NamedTuple):
    method: str
    path: str
    operation_id: str
    file: str
    test: str


def section(name: str) -> list[Call]:
    text = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8").partition(f"\n### {name}\n")[2]
    return [Call(*found) for found in ROW.findall(text.partition("\n### ")[0])]


TABLE = [call for document in CALLS for call in section(document)]
OPENAPI = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"]


def canonical(path: str) -> str:
    """As the OpenAPI has it; its description says which paths are the same."""
    path = re.sub(r"^/api/v1/", "/v1/", path)
    return re.sub(r"^/v1/contacts/(lists|segments)\b", r"/v1/\1", path)


def test_every_call_of_every_document_has_a_row() -> None:
    assert {document: len(section(document)) for document in CALLS} == CALLS


def test_every_call_is_in_the_openapi() -> None:
    for call in TABLE:
        operation = OPENAPI.get(canonical(call.path), {}).get(call.method.lower())
        assert operation is not None, call
        assert operation["operationId"] == call.operation_id, call


def test_every_call_is_answered_at_its_own_path() -> None:
    """Where the OpenAPI has a path once, the same endpoint answers at both."""
    routes = [route for route in api.build().routes if isinstance(route, APIRoute)]
    for call in TABLE:
        # The edge makes one of the two.
        path = re.sub(r"^/api/v1/", "/v1/", call.path)
        found = [route for route in routes if route.path_format == path and call.method in (route.methods or ())]
        assert [route.operation_id for route in found] == [call.operation_id], call


def test_every_operation_of_a_dialect_has_a_row() -> None:
    listed = {(call.method.lower(), call.path) for call in TABLE}
    served = {(method, path) for path, item in OPENAPI.items() for method in item if path.startswith("/compat/")}
    assert served
    assert served <= listed


def test_every_test_that_is_named_exists() -> None:
    for call in TABLE:
        tree = ast.parse((ROOT / "tests" / "e2e" / call.file).read_text(encoding="utf-8"))
        tests = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
        assert call.test in tests, call
