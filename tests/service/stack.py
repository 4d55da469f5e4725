"""What service tests run against: one real Postgres and nats-server per test run, a fresh schema per test module."""

import asyncio
import socket
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import REGISTRY
from psycopg import sql

from chassis import ids, migrations
from chassis.ids import AccountId
from chassis.tokens import TokenSigner, TokenVerifier
from deploy.local import databases

SERVICES = Path(__file__).resolve().parents[2] / "services"
# Tests share roles between databases of one server, so the passwords are the same for all.
PASSWORDS = {role: f"test-{role}" for role in databases.ROLES}
T = TypeVar("T")


@dataclass(frozen=True)
class Keys:
    """The key pair of every service, as the environment carries them."""

    private: dict[str, str]
    public: dict[str, str]

    def signer(self, service: str) -> TokenSigner:
        return TokenSigner(service, self.private[service])

    def verifier(self, audience: str) -> TokenVerifier:
        return TokenVerifier(audience, self.public)


def make_keys() -> Keys:
    private, public = {}, {}
    for service in databases.SERVICES:
        key = Ed25519PrivateKey.generate()
        private[service] = b64encode(key.private_bytes_raw()).decode()
        public[service] = b64encode(key.public_key().public_bytes_raw()).decode()
    return Keys(private, public)


async def make_database(server_url: str, service: str, name: str) -> databases.Urls:
    """A migrated database of its own for one test module."""
    urls = await asyncio.to_thread(databases.create, server_url, service, passwords=PASSWORDS, database=name)
    await migrations.upgrade(urls.owner, SERVICES / service / "migrations" / "versions")
    return urls


async def copy_database(server_url: str, service: str, name: str, *, template: str) -> databases.Urls:
    """The same, of one that nobody is connected to."""

    def copy() -> databases.Urls:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(f"{service}_owner")
                )
            )
        return databases.create(server_url, service, passwords=PASSWORDS, database=name)

    return await asyncio.to_thread(copy)


def new_account() -> AccountId:
    """Tests share a database and keep apart by account, as customers do."""
    return AccountId(ids.new())


async def eventually(probe: Callable[[], Awaitable[T]], *, seconds: float = 15.0) -> T:
    """Polls until the probe returns something true; its last value is in the failure."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        value = await probe()
        if value:
            return value
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"still {value!r} after {seconds} s")
        await asyncio.sleep(0.02)


def measured(metric: str, **labels: str) -> float:
    """The value of a series of this process now; 0 where there is none."""
    return REGISTRY.get_sample_value(metric, labels) or 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
