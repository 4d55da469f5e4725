"""What schemathesis is told beyond the OpenAPI."""

import os
import uuid
from typing import Any

import schemathesis
from requests import PreparedRequest

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
# A key that was rotated ends, and the run with it, were it its own.
ROTATION = "rotateApiKey"


def with_fresh_key(request: PreparedRequest) -> PreparedRequest:
    """A key that is well formed becomes one that nothing used before: the same one for two requests is refused."""
    given = request.headers.get(HEADER)
    if isinstance(given, str) and 1 <= len(given) <= MAX_LENGTH and given.isascii() and given.isprintable():
        request.headers[HEADER] = uuid.uuid4().hex
    return request


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    # Not in the case's headers: schemathesis would judge them anew, without those of the security schemes, and take a
    # case with a made-up API key for one whose data is valid.
    kwargs["auth"] = with_fresh_key


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    rotated = case.operation.definition.raw.get("operationId") == ROTATION
    return not rotated or (case.path_parameters or {}).get("id") != os.environ["FUZZ_KEY_ID"]
