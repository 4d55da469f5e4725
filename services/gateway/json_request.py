"""A request with a body of JSON: read within its limit, and decoded."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request

from services.gateway.draining import drain, read_up_to, refuse_encoded
from services.gateway.errors import malformed, media_type, refused_field, too_large
from services.gateway.headers import HEADERS_KEY
from services.gateway.problem import FieldCode


class JsonRequest(Request):
    # The body, once read_body has read it.
    raw: bytes = b""

    @property
    def headers(self) -> Mapping[str, str]:  # type: ignore[override]
        """Names are in lower case."""
        found: Mapping[str, str] = self.scope[HEADERS_KEY]
        return found


async def read_body(request: JsonRequest, *, takes_json: bool, needs_json: bool, limit: int) -> None:
    """Reads the body into the request, at most `limit` bytes of it, and checks its type."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        await drain(request)
        raise too_large(limit)
    request.raw = body = await read_up_to(request, limit)
    if body:
        refuse_encoded(request)
        kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise media_type("JSON (`Content-Type: application/json`)")
        if not takes_json and body.strip() not in (b"{}", b"null"):
            raise refused_field("", FieldCode.NOT_ALLOWED, "This call takes no body.")
    elif needs_json:
        raise malformed("This call needs a JSON body.")


def decoded(body: bytes) -> Any:
    """By orjson, which also refuses what is no Unicode text. Raises InvalidArgument."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        fault = f"The body is not JSON: {error.msg} at character {error.pos}."
    # Outside of it: the decoder's error holds the body, for as long as somebody holds ours.
    raise malformed(fault)
