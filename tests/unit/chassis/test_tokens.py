import time

import jwt
import pytest

from chassis import ids, tokens
from chassis.errors import Unauthenticated
from chassis.ids import AccountId
from tests.service.stack import make_keys

ACCOUNT = AccountId(ids.new())
KEYS = make_keys()


def test_a_token_says_who_calls_for_whom() -> None:
    token = KEYS.signer("gateway").token(ACCOUNT, "contacts", scopes=("contacts:read",))
    claims = KEYS.verifier("contacts").verify(token)
    assert (claims.account, claims.issuer, claims.scopes) == (ACCOUNT, "gateway", frozenset({"contacts:read"}))


def test_a_token_for_another_service_is_refused() -> None:
    token = KEYS.signer("gateway").token(ACCOUNT, "segments")
    with pytest.raises(Unauthenticated):
        KEYS.verifier("contacts").verify(token)


def test_a_service_cannot_sign_as_another() -> None:
    impostor = tokens.TokenSigner("gateway", KEYS.private["campaigns"])
    with pytest.raises(Unauthenticated):
        KEYS.verifier("contacts").verify(impostor.token(ACCOUNT, "contacts"))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", jwt.encode({"iss": "gateway"}, "k" * 32, algorithm="HS256")])
def test_garbage_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        KEYS.verifier("contacts").verify(token)


def test_a_remembered_token_still_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = KEYS.verifier("contacts")
    token = KEYS.signer("gateway").token(ACCOUNT, "contacts")
    verifier.verify(token)
    later = time.time() + tokens.LIFETIME_SECONDS + tokens.LEEWAY_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(Unauthenticated, match="expired"):
        verifier.verify(token)


def test_a_signer_renews_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = KEYS.signer("gateway")
    first = signer.token(ACCOUNT, "contacts")
    assert signer.token(ACCOUNT, "contacts") == first
    later = time.time() + tokens.LIFETIME_SECONDS - tokens.RENEW_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert signer.token(ACCOUNT, "contacts") != first
