"""Idempotency-Key: what tells a request from another one under the same key.

The key and this fingerprint travel with the call; the owning service keeps them with the answer, in the transaction
of the write (chassis.idempotency).

Of a JSON request the fingerprint is the SHA-256 over method, path, query and body. An upload is not held, so that its
body's digest would be known only when it has gone through: what is made here is over method, path, query, the declared
length, the file's name and the options that came before the file. The service that takes the file mixes in the
SHA-256 of its bytes and the options behind it, before it writes.
"""

import hashlib
from collections.abc import Iterable

from chassis.idempotency import MAX_KEY_LENGTH
from services.gateway.errors import malformed

HEADER = "idempotency-key"


def checked_key(value: str | None) -> str | None:
    """The key, or None where the header is absent. Raises InvalidArgument."""
    if value is None:
        return None
    if not 1 <= len(value) <= MAX_KEY_LENGTH or not value.isascii() or not value.isprintable():
        raise malformed(f"An Idempotency-Key is 1 to {MAX_KEY_LENGTH} printable ASCII characters.")
    return value


def fingerprint(*parts: bytes | str) -> bytes:
    """Every part is framed by its length, so that no two lists of parts look alike."""
    return hashlib.sha256(b"".join(framed(parts))).digest()


def framed(parts: Iterable[bytes | str]) -> Iterable[bytes]:
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        yield len(raw).to_bytes(8, "big")
        yield raw
