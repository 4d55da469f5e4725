"""Preferences, the evidence of their changes, opt-outs, and what the account asks of consent."""

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from carillon.contacts.v1 import consent_pb2 as pb
from chassis.errors import Reason
from services.gateway.caller import CallerOf
from services.gateway.convert import consent as convert
from services.gateway.convert.contacts import contact
from services.gateway.convert.values import CHANNELS, page
from services.gateway.errors import refused_field
from services.gateway.problem import FieldCode
from services.gateway.routers.contacts import READ, WRITE, contact_id
from services.gateway.routers.parameters import DEFAULT_PAGE_SIZE, PageCursor, PageSize
from services.gateway.routes import Routes
from services.gateway.schemas import consent as schemas
from services.gateway.schemas.contact_filters import SEARCH
from services.gateway.schemas.contacts import Contact
from services.gateway.schemas.fields import Channel, ShortText

routes = Routes("Consent")
# Mounted before any route with {id}, which would swallow them.
first = Routes("Consent")

SETTINGS = "admin"


@first.add(
    "GET",
    "/contacts/optouts",
    operation_id="listOptouts",
    summary="List the contacts that opted out of one or more channels, newest contact first",
    scope=READ,
    answer=schemas.OptoutPage,
    reasons=[Reason.INVALID_CURSOR],
)
async def list_optouts(
    caller: CallerOf,
    limit: PageSize = DEFAULT_PAGE_SIZE,
    cursor: PageCursor = None,
    channel: Annotated[Channel | None, Query(description="Only opt-outs of this channel")] = None,
    search: Annotated[ShortText | None, Query(description=SEARCH)] = None,
) -> Response:
    """Each is the full contact, with the channels that it opted out of in `optouts`."""
    client = caller.backends.consent
    request = pb.ListOptoutsRequest(
        page_size=limit, cursor=cursor or "", channel=CHANNELS.value(channel), search=search or ""
    )
    answer = await caller.read(client, client.stub.ListOptouts, request)
    return caller.answer(page([convert.optout(one) for one in answer.optouts], answer.next_cursor))


@routes.add(
    "PUT",
    "/contacts/{id}/preferences",
    operation_id="updateContactPreferences",
    summary="Opt a contact in to or out of channels",
    scope=WRITE,
    answer=Contact,
    reasons=[Reason.NOT_FOUND, Reason.VERSION_MISMATCH],
)
async def update_preferences(caller: CallerOf, id: str, body: schemas.PreferencesUpdate) -> Response:
    """The only call that turns an opt-out back. Each change is kept as evidence, with `source` and `text`.
    `If-Match` is honoured."""
    if body.preferences is not None and convert.given(body):
        raise refused_field("/preferences", FieldCode.DUPLICATE, "Send the channels in `preferences` or by themselves.")
    given = convert.given(body if body.preferences is None else body.preferences)
    if not given:
        raise refused_field("/preferences", FieldCode.REQUIRED, "Name at least one channel.")
    request = pb.SetPreferencesRequest(
        id=contact_id(id),
        preferences=given,
        source=body.source or "",
        text=body.text or "",
        actor=caller.principal.key_id,
        if_version=caller.if_version,
    )
    client = caller.backends.consent
    answer = await caller.write(client, client.stub.SetPreferences, request)
    return caller.answer(contact(answer.contact), version=answer.contact.version)


@routes.add(
    "GET",
    "/contacts/{id}/consents",
    operation_id="listContactConsents",
    summary="List the evidence of a contact's opt-ins and opt-outs, newest first",
    scope=READ,
    answer=schemas.ConsentPage,
    reasons=[Reason.NOT_FOUND, Reason.INVALID_CURSOR],
)
async def list_consents(
    caller: CallerOf, id: str, limit: PageSize = DEFAULT_PAGE_SIZE, cursor: PageCursor = None
) -> Response:
    """One entry a change of a channel's preference; entries are never changed."""
    client = caller.backends.consent
    request = pb.ListConsentsRequest(contact_id=contact_id(id), page_size=limit, cursor=cursor or "")
    answer = await caller.read(client, client.stub.ListConsents, request)
    return caller.answer(page([convert.consent(one) for one in answer.consents], answer.next_cursor))


@routes.add(
    "GET",
    "/consent-rules",
    operation_id="getConsentRules",
    summary="Get what the account asks of consent",
    scope=READ,
    answer=schemas.ConsentRules,
)
async def get_rules(caller: CallerOf) -> Response:
    client = caller.backends.consent
    answer = await caller.read(client, client.stub.GetConsentRules, pb.GetConsentRulesRequest())
    return caller.answer(convert.rules(answer.rules))


@routes.add(
    "PUT",
    "/consent-rules",
    operation_id="updateConsentRules",
    summary="Change what the account asks of consent",
    scope=SETTINGS,
    answer=schemas.ConsentRules,
)
async def update_rules(caller: CallerOf, body: schemas.ConsentRulesUpdate) -> Response:
    """Holds for every message whose sending begins after the answer, of running campaigns too."""
    client = caller.backends.consent
    request = pb.UpdateConsentRulesRequest(require_opt_in=body.require_opt_in)
    answer = await caller.write(client, client.stub.UpdateConsentRules, request)
    return caller.answer(convert.rules(answer.rules))
