"""Fixtures of the service layer. See stack.py for what they give.

postgres (session)   a deploy.local.postgres.Server, not durable
broker (session)     a deploy.local.nats.Server
keys (session)       stack.Keys
make_database        async (service) -> Urls(owner, serve, work, admin): migrated, new for each call
nats (function)      a chassis.nats.Nats connection with empty streams
account, other       two AccountIds
"""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
import pytest_asyncio

from chassis.ids import AccountId
from chassis.nats import KEPT, Nats, streams
from deploy.local import databases
from deploy.local import nats as local_nats
from deploy.local import postgres as local_postgres
from tests.service import stack

COUNTER = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_postgres.Server]:
    server = local_postgres.start(tmp_path_factory.mktemp("postgres"), durable=False)
    yield server
    server.stop(remove=True)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_nats.Server]:
    server = local_nats.start(tmp_path_factory.mktemp("nats"))
    yield server
    server.stop(remove=True)


@pytest.fixture(scope="session")
def keys() -> stack.Keys:
    return stack.make_keys()


@pytest.fixture(scope="session")
def make_database(postgres: local_postgres.Server) -> Callable[[str], Awaitable[databases.Urls]]:
    templates: dict[str, str] = {}

    async def make(service: str) -> databases.Urls:
        name = f"{service}_{os.getpid()}_{next(COUNTER)}"
        if service not in templates:
            # Migrated once: a copy is made in no time.
            templates[service] = f"{name}_template"
            await stack.make_database(postgres.url, service, templates[service])
        return await stack.copy_database(postgres.url, service, name, template=templates[service])

    return make


@pytest_asyncio.fixture
async def nats(broker: local_nats.Server) -> AsyncIterator[Nats]:
    connection = Nats(broker.url, "test")
    await connection.start()
    await connection.declare_streams()
    for config in streams(KEPT):
        assert config.name is not None
        await connection.jetstream.purge_stream(config.name)
    yield connection
    await connection.stop()


@pytest.fixture
def account() -> AccountId:
    return stack.new_account()


@pytest.fixture
def other() -> AccountId:
    return stack.new_account()
