"""Keyset cursors (AIP-158): opaque, and bound to the filter they came from."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

import orjson

from chassis.errors import InvalidArgument, Reason, Violation

DEFAULT_SIZE = 50
MAX_SIZE = 100
# What is passed over is read all the same, if less of it.
MAX_SKIP = 10_000
DIGEST_BYTES = 9


def page_size(asked: int) -> int:
    """0 is the default. Raises InvalidArgument outside 1 to 100."""
    if asked == 0:
        return DEFAULT_SIZE
    if 1 <= asked <= MAX_SIZE:
        return asked
    raise out_of_range("/limit", f"limit must be 1 to {MAX_SIZE}.")


def skipped(asked: int) -> int:
    """Raises InvalidArgument outside 0 to MAX_SKIP."""
    if 0 <= asked <= MAX_SKIP:
        return asked
    raise out_of_range("/skip", f"skip must be 0 to {MAX_SKIP:,}.")


def out_of_range(pointer: str, detail: str) -> InvalidArgument:
    return InvalidArgument(
        Reason.VALIDATION_FAILED, detail, violations=[Violation(pointer, Reason.VALIDATION_FAILED, detail)]
    )


def encode_cursor(scope: str, *parts: str) -> str:
    """scope: what the cursor belongs to, the account and the filter among it. parts: the last row's sort key."""
    return urlsafe_b64encode(digest(scope) + orjson.dumps(parts)).rstrip(b"=").decode()


def decode_cursor(text: str, scope: str, *, parts: int) -> list[str]:
    """The sort key. Raises InvalidArgument(INVALID_CURSOR) for one that was not made for this scope."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if raw[:DIGEST_BYTES] == digest(scope):
            values = orjson.loads(raw[DIGEST_BYTES:])
            if isinstance(values, list) and len(values) == parts and all(isinstance(v, str) for v in values):
                return values
    except ValueError:
        pass
    raise InvalidArgument(Reason.INVALID_CURSOR, "The cursor was not issued for this request; begin without one.")


def digest(scope: str) -> bytes:
    return hashlib.blake2b(scope.encode(), digest_size=DIGEST_BYTES).digest()
