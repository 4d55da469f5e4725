"""What dev.enabled makes up: keys that our code takes, and that fit together."""

import json
from collections.abc import Mapping
from functools import cache
from urllib.parse import urlsplit

import pytest

from chassis import ids
from chassis.ids import AccountId
from chassis.sealing import Sealer
from chassis.tokens import TokenSigner, TokenVerifier
from deploy.local.databases import SERVICES
from services.contacts.erasure.hashing import AddressHash
from tests.helm.rendering import named, render

DEV = ("--set", "dev.enabled=true")
ACCOUNT = AccountId(ids.new())


@cache
def secret(name: str) -> Mapping[str, str]:
    return dict(named(render(*DEV), "Secret", name)["stringData"])


@pytest.mark.parametrize("issuer", SERVICES)
def test_a_token_that_one_service_signs_is_good_at_the_others(issuer: str) -> None:
    """Helm has no function for the public half of a key; the chart cuts it out of a certificate."""
    public = json.loads(named(render(*DEV), "ConfigMap", "carillon-tokens")["data"]["public-keys"])
    token = TokenSigner(issuer, secret(f"carillon-{issuer}")["token-private-key"]).token(ACCOUNT, "contacts")
    assert TokenVerifier("contacts", public).verify(token).issuer == issuer


@pytest.mark.parametrize("service", ["campaigns", "gateway"])
def test_what_is_sealed_can_be_opened(service: str) -> None:
    sealer = Sealer(secret(f"carillon-{service}")["secrets-keys"])
    assert sealer.open(sealer.seal("text")) == "text"


def test_the_erasure_key_is_long_enough() -> None:
    AddressHash(secret("carillon-contacts")["erasure-key"])


def test_the_urls_carry_the_passwords_that_the_servers_are_given() -> None:
    passwords = json.loads(secret("carillon-dev-postgres")["passwords.json"])
    for service in SERVICES:
        for role in ("owner", "serve", "work"):
            url = urlsplit(secret(f"carillon-{service}")[f"database-{role}-url"])
            assert (url.username, url.password) == (f"{service}_{role}", passwords[f"{service}_{role}"])
            assert (url.hostname, url.path) == ("carillon-postgres", f"/{service}")
        url = urlsplit(secret(f"carillon-{service}")["nats-url"])
        assert (url.username, url.password) == (service, secret("carillon-dev")[f"{service}-nats"])
        assert url.hostname == "carillon-nats"


def test_no_two_secrets_are_the_same() -> None:
    made = secret("carillon-dev").values()
    assert len(made) == len(set(made)) == 1 + 6 * len(SERVICES) + 3


def test_each_installation_makes_its_own() -> None:
    other = named(render(*DEV, "--skip-tests"), "Secret", "carillon-dev")["stringData"]
    assert not set(other.values()) & set(secret("carillon-dev").values())
