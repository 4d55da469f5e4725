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


def test_a_key_is_rotated_without_a_gap() -> None:
    """Each step reaches one process after the other: what those before it sign, those after it take, and back."""
    new = make_keys()
    old_key, new_key = KEYS.public["gateway"], new.public["gateway"]
    by_old, by_new = (keys.signer("gateway").token(ACCOUNT, "contacts") for keys in (KEYS, new))
    # The public keys of a process, and by whom it may be called while it has them.
    steps = [(old_key, [by_old]), (f"{old_key},{new_key}", [by_old, by_new]), (new_key, [by_new])]
    for public, signed in steps:
        verifier = tokens.TokenVerifier("contacts", {"gateway": public})
        assert [verifier.verify(token).issuer for token in signed] == ["gateway"] * len(signed)
    with pytest.raises(Unauthenticated, match="not valid"):
        tokens.TokenVerifier("contacts", {"gateway": new_key}).verify(by_old)


def test_of_several_keys_none_lets_an_impostor_or_an_old_token_through(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = f"{make_keys().public['gateway']},{KEYS.public['gateway']}"
    verifier = tokens.TokenVerifier("contacts", {"gateway": keys})
    long_ago = time.time() - tokens.LIFETIME_SECONDS - tokens.LEEWAY_SECONDS - 1
    with monkeypatch.context() as earlier:
        earlier.setattr(time, "time", lambda: long_ago)
        expired = KEYS.signer("gateway").token(ACCOUNT, "contacts")
    for token in (make_keys().signer("gateway").token(ACCOUNT, "contacts"), expired):
        with pytest.raises(Unauthenticated, match="not valid"):
            verifier.verify(token)


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
