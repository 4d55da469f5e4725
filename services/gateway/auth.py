"""Who calls: the API key of a request, looked up by its hash and remembered for a few seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from chassis.ids import AccountId
from services.gateway.domain import keys
from services.gateway.errors import scope_lacking, unauthenticated

CACHE_SIZE = 10_000
HOW_TO = "Send an API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`."


@dataclass(frozen=True, slots=True)
class Principal:
    """The account behind a key, and what the key may do."""

    account: AccountId
    # Public id of the key, `key_…`: fit for logs.
    key_id: str
    scopes: frozenset[str]
    expires_at: datetime | None = None
    # live or test.
    mode: str = "live"
    # Requests a second; None for as many as the deployment gives by default.
    rate_limit: int | None = None

    def require(self, scope: str) -> None:
        """Raises PermissionDenied."""
        if not keys.allows(self.scopes, scope):
            raise scope_lacking(scope)


# Finds the principal of a key's hash; None where the key is unknown, revoked or expired.
Lookup = Callable[[bytes], Awaitable[Principal | None]]


class Authenticator:
    """Keeps what it found for `ttl` seconds: so long may a revoked key still be accepted.

    Keys that are not found are not remembered, so that a new one works at once.
    """

    def __init__(self, lookup: Lookup, *, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lookup = lookup
        self._ttl = ttl
        self._clock = clock
        self._found: dict[bytes, tuple[Principal, float]] = {}
        # Of all requests with a key whose time is over, one asks the database.
        self._asking: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def authenticate(self, headers: Mapping[str, str]) -> Principal:
        """Raises Unauthenticated; Unavailable where the database cannot be asked."""
        key = credential(headers)
        if key is None:
            raise unauthenticated(f"The request carries no API key. {HOW_TO}")
        digest = keys.digest(key)
        known = self._found.get(digest)
        if known is not None and known[1] > self._clock():
            principal: Principal | None = known[0]
        else:
            principal = await self._asked(digest) if keys.well_formed(key) else None
        if principal is None or expired(principal):
            raise unauthenticated("The API key is unknown, expired or revoked.")
        return replace(principal, scopes=principal.scopes | {keys.SANDBOX}) if keys.is_test(key) else principal

    def forget(self, key_id: str) -> None:
        """A key that was changed here is looked up anew here at once, in other replicas when its time is over."""
        for digest in [digest for digest, (found, _) in self._found.items() if found.key_id == key_id]:
            del self._found[digest]

    async def _asked(self, digest: bytes) -> Principal | None:
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.create_task(self._ask(digest, until=self._clock() + self._ttl))
            asking.add_done_callback(lambda _: self._asking.pop(digest, None))
        # One request may be given up while others wait for the same answer.
        return await asyncio.shield(asking)

    async def _ask(self, digest: bytes, *, until: float) -> Principal | None:
        principal = await self._lookup(digest)
        if principal is None:
            self._found.pop(digest, None)
            return None
        if len(self._found) >= CACHE_SIZE:
            self._found.clear()
        self._found[digest] = (principal, until)
        return principal


def expired(principal: Principal) -> bool:
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)


def credential(headers: Mapping[str, str]) -> str | None:
    """The key of `Authorization: Bearer`, `X-API-Key` or `apiKey`, in that order; None where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return headers.get("x-api-key") or headers.get("apikey") or None
