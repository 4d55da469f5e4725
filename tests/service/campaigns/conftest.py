"""One database and one set of peers for the module; their tables are emptied before each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from services.campaigns.tables import TABLES
from tests.service.campaigns.world import World, open_world
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
    running.contacts.known.clear()
    running.replies.reset()
    running.segments.before_page = None
    provider = running.provider
    provider.before = provider.after = None
    provider.accepted.clear()
    provider.requests.clear()
    provider.repeats.clear()
    yield running
