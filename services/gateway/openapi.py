"""The OpenAPI document: FastAPI's, with what it cannot know."""

from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway import examples
from services.gateway.negotiation import EVENTS, JSON
from services.gateway.routes import StrictRoute
from services.gateway.schemas.fields import Problem

DESCRIPTION = """Contacts, segments and campaigns of a messaging business.

Every path under `/v1` also answers under `/api/v1`, and those under `/v1/segments` and `/v1/lists`
under `/v1/contacts/segments` and `/v1/contacts/lists`.

Clients of two other APIs find theirs under `/compat/chat` and `/compat/addressbook`: the same contacts, lists and
exports under the names that they know. What such a call does not know is ignored there, and named in the header
`Carillon-Ignored-Fields`.

Authentication: `Authorization: Bearer KEY`, or `X-API-Key: KEY`. Each operation names the scope that it needs.

Bodies are JSON in UTF-8, up to 1 MiB where nothing else is said; unknown fields and parameters are refused by name.
Times are RFC 3339 in UTC.
`PUT` and `PATCH` change only the fields sent; `null` clears one.

Errors are `application/problem+json` (RFC 9457): `code` is stable, and `errors` names refused fields by JSON pointer.

Every `POST` takes an `Idempotency-Key`: repeated with the same request it answers as before, with
`Idempotent-Replayed: true`. `ETag` is a resource's version; `If-Match` refuses a change made on an older one.

Each key has a budget of requests a second, over all its connections: `RateLimit-Policy` and `RateLimit` say what it is
and what is left, and beyond it the answer is 429 with `Retry-After`.

Lists are paged by `limit` and `cursor`; a cursor is good for the key's account and the filters that it came from.

`X-Request-Id` is echoed, or made; W3C `traceparent` is carried on."""
VERSION = "1.0.0"
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `ck_live_…`"},
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "chatKeyHeader": {"type": "apiKey", "in": "header", "name": "apiKey"},
    "chatKeyQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "apiKey",
        "description": "In the chat dialect only, for clients that cannot send a header",
    },
}
# FastAPI's error shape, which is never answered.
NOT_OURS = ("HTTPValidationError", "ValidationError")
POST_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Makes a repetition of this request answer as the first one did",
}
PROBLEM = {
    "type": "urn:carillon:error:not_found",
    "title": "Not found",
    "status": 404,
    "detail": "There is no contact with that id.",
    "instance": "/v1/contacts/cnt_01h455vb4pex5vsknk084sn02q",
    "code": "not_found",
    "request_id": "req_01h455vb4pex5vsknk084sn02q",
}
RATE_HEADERS = {
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}},
    "RateLimit-Policy": {"description": "Requests a second of the key", "schema": {"type": "string"}},
    "RateLimit": {"description": "Requests left, and seconds until there are more", "schema": {"type": "string"}},
}
# One of a stream of server-sent events.
EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "`progress` or `ended`"},
        "data": {"type": "string", "description": "The resource, as its GET answers it, on one line of JSON"},
    },
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` that the change is based on",
}


def document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title="Carillon", version=VERSION, openapi_version="3.1.0", description=DESCRIPTION, routes=app.routes
    )
    components = found.setdefault("components", {})
    components["securitySchemes"] = SECURITY
    schemas = components.setdefault("schemas", {})
    for name in NOT_OURS:
        schemas.pop(name, None)
    add_problem(schemas)
    produced = {route.operation_id: route.operation.produces for route in app.routes if isinstance(route, StrictRoute)}
    for item in found["paths"].values():
        for method, operation in item.items():
            answer_in(operation, produced[operation["operationId"]])
            finish(method, operation)
    examples.add(found)
    return found


def add_problem(schemas: dict[str, Any]) -> None:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    schemas.update(schema.pop("$defs", {}))
    schema["examples"] = [PROBLEM]
    schemas["Problem"] = schema


def finish(method: str, operation: dict[str, Any]) -> None:
    validation = operation["responses"].get("422", {}).get("content", {})
    validation.pop("application/json", None)
    if not validation:
        operation["responses"].pop("422", None)
    secured = "security" in operation
    if "429" in operation["responses"]:
        operation["responses"]["429"]["headers"] = RATE_HEADERS
    if method == "post" and secured:
        operation.setdefault("parameters", []).append(POST_HEADER)
    if "412" in operation["responses"]:
        operation.setdefault("parameters", []).append(IF_MATCH)


def answer_in(operation: dict[str, Any], produced: tuple[str, ...]) -> None:
    """What is no JSON, a stream or a file, is a text of its type."""
    if not produced:
        return
    content = next(answer["content"] for status, answer in operation["responses"].items() if status < "3")
    for kind in produced:
        content.setdefault(kind, {"schema": EVENT if kind == EVENTS else {"type": "string"}})
    if JSON not in produced:
        del content[JSON]


def text(app: FastAPI) -> str:
    """As committed: sorted, indented, with a newline at the end."""
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"
