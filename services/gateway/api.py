"""The application: every operation under its prefix, in an order in which none swallows another."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import Route
from starlette.types import ASGIApp

from chassis.db import Database
from chassis.sealing import Sealer
from services.gateway import openapi, refusals
from services.gateway.auth import Authenticator
from services.gateway.backends import Backends
from services.gateway.calls import Calls
from services.gateway.config import GatewaySettings
from services.gateway.cors import Cors, origins
from services.gateway.cursors import CursorSeal
from services.gateway.dialects import addressbook, chat
from services.gateway.edge import Edge
from services.gateway.feed.streams import Streams
from services.gateway.kept_answers import KeptAnswers
from services.gateway.key_uses import KeyUses
from services.gateway.keyring import Keyring
from services.gateway.limits import RateLimiter
from services.gateway.posts import Posts
from services.gateway.routers import (
    activity,
    api_keys,
    bulk,
    campaigns,
    campaigns_audience,
    campaigns_quiet_hours,
    campaigns_timeline,
    consent,
    contacts,
    events,
    exports,
    followed,
    import_steps,
    imports,
    links,
    lists,
    public,
    receipts,
    recipients,
    segments,
    senders,
    suppression_uploads,
    suppressions,
    templates,
    webhook_attempts,
    webhooks,
)
from services.gateway.routes import Operation, mount
from services.gateway.webhooks.service import Webhooks

# FastAPI's own spans carry the query, and so phones and emails; edge.py makes ours.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
NOUNS = (
    import_steps,
    consent,
    activity,
    exports,
    suppressions,
    suppression_uploads,
    lists,
    segments,
    templates,
    senders,
    campaigns,
    campaigns_audience,
    campaigns_quiet_hours,
    campaigns_timeline,
    recipients,
    api_keys,
    webhooks,
    webhook_attempts,
    events,
)


def operations() -> list[Operation]:
    """Literal paths before those with {id}: /contacts/lookup is no contact."""
    found = [*contacts.first.operations, *imports.first.operations, *consent.first.operations]
    found += bulk.routes.operations
    found += contacts.routes.operations + segments.of_contact.operations
    for noun in NOUNS:
        found += noun.routes.operations
    for routes in (followed.of_imports, followed.of_exports, followed.of_campaigns):
        found += routes.operations
    return found


def nested() -> list[Operation]:
    """The calls of segments and lists below /contacts, for clients that know them there."""
    known = [*segments.routes.operations, *lists.routes.operations]
    return [replace(one, path=f"/contacts{one.path}") for one in known]


def build() -> FastAPI:
    """The application without its surroundings: enough for the OpenAPI."""
    app = FastAPI(
        title="Carillon",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    mount(app, operations(), prefix="/v1", in_schema=True)
    mount(app, nested(), prefix="/v1", in_schema=False)
    mount(app, [*receipts.routes.operations, *links.routes.operations], prefix="", in_schema=True)
    for dialect in (chat, addressbook):
        mount(app, dialect.OPERATIONS, prefix=dialect.ROUTE.base, in_schema=True, route=dialect.ROUTE)
    app.router.routes.extend(public.ROUTES)
    paths = {route.path for route in app.router.routes if isinstance(route, Route)}
    app.state.literal_paths = frozenset(path for path in paths if "{" not in path)
    refusals.install(app)
    cached: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not cached:
            cached.update(openapi.document(app))
        return cached

    app.openapi = document  # type: ignore[method-assign]
    return app


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application works with."""

    backends: Backends
    authenticator: Authenticator
    limiter: RateLimiter
    keyring: Keyring
    key_uses: KeyUses
    kept_answers: KeptAnswers
    db: Database
    # Raises a chassis error when the gateway should get no traffic.
    ready: Callable[[], Awaitable[None]]
    # See HttpServer.
    stopping: asyncio.Event


def connected(settings: GatewaySettings, parts: Parts) -> ASGIApp:
    """The application with what is around every request. Raises ValueError for settings that cannot be."""
    app = build()
    app.state.settings = settings
    sealer = Sealer(settings.secrets_keys.get_secret_value())
    app.state.cursors = CursorSeal(sealer)
    app.state.webhooks = Webhooks(sealer, private=settings.webhook_private_addresses)
    app.state.streams = Streams()
    app.state.posts = Posts(parts.backends.campaigns, timeout=settings.call_timeout_seconds)
    for part in fields(parts):
        setattr(app.state, part.name, getattr(parts, part.name))
    around: ASGIApp = Calls(app)
    allowed = origins(settings.cors_origins)
    if allowed:
        around = Cors(around, allowed)
    return Edge(around, https=settings.public_url.startswith("https://"))
