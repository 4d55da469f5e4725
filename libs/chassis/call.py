"""Who calls, for which account: the explicit first argument of every servicer method."""

import hashlib
from dataclasses import dataclass, replace

from chassis.ids import AccountId


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A client's Idempotency-Key, 1 to 255 characters, and what tells its request from another."""

    key: str
    # The full gRPC method, so that one key does not clash across calls.
    method: str
    # SHA-256 of the request.
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Call:
    account: AccountId
    # The service that signed the token: gateway, campaigns, …
    issuer: str
    scopes: frozenset[str]
    request_id: str
    idempotency: Idempotency | None = None

    def over(self, *content: bytes) -> "Call":
        """The call, its fingerprint over the content too: of a stream the caller knew neither bytes nor end."""
        if self.idempotency is None:
            return self
        mixed = hashlib.sha256(self.idempotency.fingerprint)
        for part in content:
            mixed.update(hashlib.sha256(part).digest())
        return replace(self, idempotency=replace(self.idempotency, fingerprint=mixed.digest()))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a client sends along with a request."""

    account: AccountId
    scopes: tuple[str, ...] = ()
    request_id: str = ""
    # (key, fingerprint)
    idempotency: tuple[str, bytes] | None = None
