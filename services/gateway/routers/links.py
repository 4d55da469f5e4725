"""The links of emails: openings, clicks, opt-outs. No API key: a link carries its own signature."""

import base64
import html
import string
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import NotFound, Reason
from services.gateway import unkeyed
from services.gateway.draining import read_up_to
from services.gateway.routes import JSON_LIMIT_BYTES, PUBLIC, Routes

routes = Routes("Links")

MAX_TOKEN_LENGTH = 3000
ASCII = string.ascii_letters + string.digits + string.punctuation
REASONS = [Reason.NOT_FOUND, Reason.OVERLOADED]
# One transparent pixel.
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:16px/1.5 sans-serif;max-width:30em;margin:4em auto;padding:0 1em}}
button{{font:inherit;padding:.5em 1em}}</style></head>
<body><h1>{title}</h1><p>{text}</p>{more}</body></html>
"""
BUTTON = '<form method="post"><button name="List-Unsubscribe" value="One-Click">Unsubscribe</button></form>'
FORM_BODY = {
    "required": False,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {"type": "object", "properties": {"List-Unsubscribe": {"type": "string"}}}
        }
    },
}


@routes.add(
    "GET",
    "/t/{token}",
    operation_id="followLink",
    summary="Follow a link of an email",
    scope=PUBLIC,
    others={302: (None, "A click: to exactly the URL that was signed")},
    reasons=REASONS,
    produces=("image/gif", "text/html"),
)
async def follow_link(request: Request, token: str) -> Response:
    """A picture, a redirect to exactly the URL that was signed, or a page that asks whether to unsubscribe. Programs
    that look at links before people do opt nobody out: that takes a POST."""
    answer = await ask(request, token, unsubscribe=False)
    if answer.kind == pb.LINK_KIND_OPEN:
        return Response(PIXEL, media_type="image/gif")
    if answer.kind == pb.LINK_KIND_CLICK:
        # A header is ASCII; what it has besides is encoded as browsers do, and all else is as it was signed.
        return Response(status_code=302, headers={"Location": quote(answer.url, safe=ASCII)})
    return page("Unsubscribe?", "You will get no more emails of this kind from the sender.", more=BUTTON)


@routes.add(
    "POST",
    "/t/{token}",
    operation_id="unsubscribe",
    summary="Unsubscribe with one click (RFC 8058)",
    scope=PUBLIC,
    others={202: (None, "Stored, and takes effect in a moment")},
    reasons=REASONS,
    produces=("text/html",),
    upload=FORM_BODY,
)
async def unsubscribe(request: Request, token: str) -> Response:
    """200 when nothing is sent any more; 202 when it is stored and takes effect in a moment."""
    await read_up_to(request, JSON_LIMIT_BYTES)
    answer = await ask(request, token, unsubscribe=True)
    if answer.kind != pb.LINK_KIND_UNSUBSCRIBE:
        raise NotFound(Reason.NOT_FOUND, "There is no such link.")
    if answer.applied:
        return page("Unsubscribed", "You will get no more emails of this kind from the sender.")
    return page("Unsubscribed", "Your request is stored and takes effect in a moment.", status=202)


async def ask(request: Request, token: str, *, unsubscribe: bool) -> pb.FollowLinkResponse:
    """Raises NotFound for what was not signed here."""
    account, signed = unkeyed.split(token, MAX_TOKEN_LENGTH)
    if account is None or not signed:
        raise NotFound(Reason.NOT_FOUND, "There is no such link.")
    client = unkeyed.campaigns(request)
    asked = pb.FollowLinkRequest(token=signed, unsubscribe=unsubscribe)
    return await unkeyed.ask(request, client, client.stub.FollowLink, asked, account=account)


def page(title: str, text: str, *, more: str = "", status: int = 200) -> Response:
    """more: HTML."""
    content = PAGE.format(title=html.escape(title), text=html.escape(text), more=more)
    return Response(content, status_code=status, media_type="text/html; charset=utf-8", headers=HEADERS)
