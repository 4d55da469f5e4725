"""Keys: where they stand, what they allow, how long they are remembered."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from starlette.datastructures import Headers

from chassis import ids
from chassis.errors import Unauthenticated
from chassis.ids import AccountId
from services.gateway.auth import Authenticator, Principal, credential
from services.gateway.domain import keys


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Authorization": "Bearer k"}, "k"),
        ({"Authorization": "bearer  k "}, "k"),
        ({"Authorization": "Basic k"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"X-API-Key": "k"}, "k"),
        ({"apiKey": "k"}, "k"),
        ({"Authorization": "Bearer a", "X-API-Key": "b"}, "a"),
    ],
)
def test_where_the_key_stands(headers: dict[str, str], expected: str | None) -> None:
    assert credential(Headers(headers)) == expected


@pytest.mark.parametrize(
    ("granted", "needed", "allowed"),
    [
        ({"contacts:read"}, "contacts:read", True),
        ({"contacts:read"}, "contacts:write", False),
        ({"contacts:write"}, "contacts:read", False),
        ({"contacts:*"}, "contacts:write", True),
        ({"contacts:*"}, "segments:read", False),
        ({"admin"}, "campaigns:write", True),
        (set(), "contacts:read", False),
    ],
)
def test_what_a_scope_allows(granted: set[str], needed: str, *, allowed: bool) -> None:
    assert keys.allows(frozenset(granted), needed) is allowed


def test_a_new_key_is_well_formed_and_its_own() -> None:
    made = {keys.new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(keys.well_formed(key) for key in made)
    assert keys.new_key("test").startswith("ck_test_")
    with pytest.raises(ValueError, match="not one of"):
        keys.new_key("demo")
    for other in ("", "ck_live_", "ck_live_" + "g" * 48, keys.new_key() + "0"):
        assert not keys.well_formed(other)


class Lookups:
    """A stand-in for the database, with a clock."""

    def __init__(self, principal: Principal | None) -> None:
        self.principal = principal
        self.asked = 0
        self.now = 0.0

    async def __call__(self, _: bytes) -> Principal | None:
        self.asked += 1
        return self.principal


def principal(expires_at: datetime | None = None) -> Principal:
    return Principal(AccountId(ids.new()), "key_x", frozenset(), expires_at)


KEY = Headers({"X-API-Key": keys.new_key()})


async def test_a_key_is_remembered_for_its_time_and_no_longer() -> None:
    lookups = Lookups(principal())
    authenticator = Authenticator(lookups, ttl=5, clock=lambda: lookups.now)
    await authenticator.authenticate(KEY)
    lookups.principal = None
    lookups.now = 4.9
    await authenticator.authenticate(KEY)
    assert lookups.asked == 1
    lookups.now = 5.0
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(KEY)


async def test_many_requests_of_a_key_ask_once() -> None:
    lookups = Lookups(principal())
    authenticator = Authenticator(lookups, ttl=5, clock=lambda: lookups.now)
    found = await asyncio.gather(*(authenticator.authenticate(KEY) for _ in range(20)))
    assert lookups.asked == 1
    assert found == [lookups.principal] * 20


async def test_a_key_that_was_forgotten_is_asked_for_again() -> None:
    lookups = Lookups(principal())
    authenticator = Authenticator(lookups, ttl=5, clock=lambda: lookups.now)
    await authenticator.authenticate(KEY)
    lookups.principal = None
    authenticator.forget("key_other")
    await authenticator.authenticate(KEY)
    authenticator.forget("key_x")
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(KEY)


async def test_an_unknown_key_is_not_remembered() -> None:
    lookups = Lookups(None)
    authenticator = Authenticator(lookups, ttl=5, clock=lambda: lookups.now)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(KEY)
    lookups.principal = principal()
    await authenticator.authenticate(KEY)


async def test_a_key_that_expired_while_it_was_remembered_is_refused() -> None:
    authenticator = Authenticator(Lookups(principal(datetime.now(UTC) - timedelta(seconds=1))), ttl=5)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(KEY)


async def test_what_is_no_key_is_not_even_looked_up() -> None:
    lookups = Lookups(principal())
    authenticator = Authenticator(lookups, ttl=5)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(Headers({"X-API-Key": "x" * 10_000}))
    assert lookups.asked == 0


async def test_a_test_key_is_told_to_the_services_and_can_be_given_to_nobody() -> None:
    authenticator = Authenticator(Lookups(principal()), ttl=5)
    for mode, expected in (("test", True), ("live", False)):
        found = await authenticator.authenticate(Headers({"X-API-Key": keys.new_key(mode)}))
        assert (keys.SANDBOX in found.scopes) is expected
    assert keys.unknown_scopes([keys.SANDBOX]) == [keys.SANDBOX]
