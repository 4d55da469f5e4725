"""One database and one set of peers for the module; their tables are emptied before each test."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from deploy.local import nats as local_nats
from services.campaigns.tables import TABLES
from tests.service.campaigns.world import PROVIDER_NETWORKS, PUBLIC_URL, SECRETS_KEY, World, open_world
from tests.service.stack import Keys


@pytest_asyncio.fixture(scope="session")
async def running(make_database: Callable[[str], Awaitable[Any]], keys: Keys) -> AsyncIterator[World]:
    async with open_world(await make_database("campaigns"), keys) as world:
        yield world


@pytest_asyncio.fixture
async def world(running: World) -> AsyncIterator[World]:
    """The peers behave again as at first, and no campaign of an earlier test is left to be worked on."""
    await running.admin(f"TRUNCATE {', '.join(TABLES)}")
    running.contacts.refused.clear()
    running.contacts.refused_contacts.clear()
    running.contacts.available = True
    running.contacts.before_check = None
    running.contacts.known.clear()
    running.replies.reset()
    running.segments.before_page = None
    provider = running.provider
    provider.before = provider.after = None
    provider.accepted.clear()
    provider.requests.clear()
    provider.repeats.clear()
    yield running


@pytest.fixture
def environment(world: World, keys: Keys, broker: local_nats.Server) -> dict[str, str]:
    """Of a worker process, whose lease is short."""
    return os.environ | {
        "CARILLON_DATABASE_URL": world.work_url,
        "CARILLON_DATABASE_POOL": "6",
        "CARILLON_NATS_URL": broker.url,
        "CARILLON_TOKEN_PRIVATE_KEY": keys.private["campaigns"],
        "CARILLON_TOKEN_PUBLIC_KEYS": "{}",
        "CARILLON_SECRETS_KEYS": SECRETS_KEY,
        "CARILLON_PUBLIC_URL": PUBLIC_URL,
        "CARILLON_PROVIDER_NETWORKS": PROVIDER_NETWORKS,
        "CARILLON_CONTACTS_TARGET": world.contacts_target,
        "CARILLON_SEGMENTS_TARGET": world.segments_target,
        "CARILLON_DISPATCH_BATCHES": "2",
        "CARILLON_DISPATCH_LEASE_SECONDS": "2",
        "CARILLON_LOG_LEVEL": "warning",
    }
