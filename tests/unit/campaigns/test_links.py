"""Keys that are rotated, and the links that are signed with them."""

import pytest
from cryptography.fernet import Fernet, InvalidToken

from chassis import ids
from chassis.ids import AccountId
from chassis.sealing import Sealer, key_id
from services.campaigns import tracking
from services.campaigns.tracking import Kind, Tracked

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
ACCOUNT, RECIPIENT = AccountId(ids.new()), ids.new()
URL = tracking.unsubscribe_url("https://x.test", Sealer(OLD), account=ACCOUNT, recipient=RECIPIENT)
TOKEN = URL.removeprefix("https://x.test/t/")


def test_the_first_key_seals_and_all_open() -> None:
    sealed = Sealer(OLD).seal("secret")
    both = Sealer(f"{NEW}, {OLD}")
    assert (both.open(sealed), both.key_of(sealed), both.current) == ("secret", key_id(OLD), key_id(NEW))
    assert Sealer(NEW).open(both.seal("secret")) == "secret"
    with pytest.raises(InvalidToken):
        Sealer(NEW).open(sealed)


@pytest.mark.parametrize("keys", ["", " , ", "no key"])
def test_what_are_no_keys(keys: str) -> None:
    with pytest.raises(ValueError, match=r"key"):
        Sealer(keys)


def test_a_key_id_tells_nothing_of_the_key() -> None:
    assert len(key_id(OLD)) == 8
    assert key_id(OLD) not in OLD


def test_a_link_says_who_and_what() -> None:
    assert tracking.read(Sealer(OLD), TOKEN) == Tracked(Kind.UNSUBSCRIBE, ACCOUNT, RECIPIENT)
    assert TOKEN.startswith(ids.encode_account(ACCOUNT).removeprefix("acct_") + ".")
    click = Tracked(Kind.CLICK, ACCOUNT, RECIPIENT, "https://shop.test/ü".encode())
    assert tracking.read(Sealer(OLD), tracking.token(Sealer(OLD), click)) == click


def test_a_link_is_the_same_for_every_attempt() -> None:
    assert tracking.unsubscribe_url("https://x.test", Sealer(OLD), account=ACCOUNT, recipient=RECIPIENT) == URL


def test_a_link_outlives_a_rotation_and_ends_with_its_key() -> None:
    assert tracking.read(Sealer(f"{NEW},{OLD}"), TOKEN) is not None
    assert tracking.read(Sealer(NEW), TOKEN) is None


OTHER = ids.encode_account(AccountId(ids.new())).removeprefix("acct_")


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        TOKEN[:-8],
        TOKEN[:-1],
        TOKEN + "AAAA",
        TOKEN.partition(".")[0] + ".",
        OTHER + "." + TOKEN.partition(".")[2],
        # Another kind.
        TOKEN.replace(".d", ".b"),
        TOKEN.replace(".", ".é"),
        "x" * 5000,
    ],
    ids=[
        "empty", "dot", "short", "shorter", "more", "account-alone", "another-account", "another-kind", "wide", "long"
    ],
)  # fmt: skip
def test_forged_links_say_nothing(token: str) -> None:
    assert tracking.read(Sealer(OLD), token) is None
