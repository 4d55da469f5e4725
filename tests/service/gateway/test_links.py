"""What the links of emails answer."""

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.errors import NotFound, Reason
from tests.service.gateway.conftest import Answered, Gateway

SHOP = "https://shop.example/a?b=1&c=%C3%BC#d"


async def follow(gateway: Gateway, method: str = "GET", **more: object) -> Answered:
    token = f"{gateway.account.account_id.removeprefix('acct_')}.signed"
    return await gateway.call(method, f"/t/{token}", key=None, allow_redirects=False, **more)


async def test_an_opening_is_answered_with_a_picture(gateway: Gateway) -> None:
    gateway.campaigns.answers["FollowLink"] = pb.FollowLinkResponse(kind=pb.LINK_KIND_OPEN)
    answer = await follow(gateway)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.body.startswith(b"GIF89a")
    assert answer.headers["cache-control"] == "no-store"
    got = gateway.campaigns.last("FollowLink")
    assert (got.call.account, got.request.token, got.request.unsubscribe) == (gateway.account_id, "signed", False)


@pytest.mark.parametrize(
    ("url", "location"),
    [(SHOP, SHOP), ("https://shop.example/→?q=ü%20", "https://shop.example/%E2%86%92?q=%C3%BC%20")],
    ids=["ascii", "other letters"],
)
async def test_a_click_leads_to_exactly_what_was_signed(gateway: Gateway, url: str, location: str) -> None:
    gateway.campaigns.answers["FollowLink"] = pb.FollowLinkResponse(kind=pb.LINK_KIND_CLICK, url=url)
    answer = await follow(gateway)
    assert (answer.status, answer.headers["location"]) == (302, location)


async def test_looking_at_the_link_to_unsubscribe_asks_first(gateway: Gateway) -> None:
    gateway.campaigns.answers["FollowLink"] = pb.FollowLinkResponse(kind=pb.LINK_KIND_UNSUBSCRIBE)
    answer = await follow(gateway)
    assert answer.status == 200
    assert b'<form method="post">' in answer.body
    assert not gateway.campaigns.last("FollowLink").request.unsubscribe


@pytest.mark.parametrize("applied", [True, False], ids=["in force", "stored"])
async def test_one_click_is_a_post(gateway: Gateway, applied: bool) -> None:
    found = pb.FollowLinkResponse(kind=pb.LINK_KIND_UNSUBSCRIBE, applied=applied)
    gateway.campaigns.answers["FollowLink"] = found
    answer = await follow(gateway, "POST", data={"List-Unsubscribe": "One-Click"})
    assert answer.status == (200 if applied else 202)
    assert b"<form" not in answer.body
    assert gateway.campaigns.last("FollowLink").request.unsubscribe


@pytest.mark.parametrize("kind", [pb.LINK_KIND_OPEN, pb.LINK_KIND_CLICK])
async def test_only_a_link_to_unsubscribe_takes_a_post(gateway: Gateway, kind: pb.LinkKind.ValueType) -> None:
    gateway.campaigns.answers["FollowLink"] = pb.FollowLinkResponse(kind=kind, url=SHOP)
    assert (await follow(gateway, "POST")).status == 404


async def test_what_was_not_signed_is_not_found(gateway: Gateway) -> None:
    gateway.campaigns.answers["FollowLink"] = NotFound(Reason.NOT_FOUND, "There is no such link.")
    assert (await follow(gateway)).status == 404
    for token in ("x", "x.y", f"{'0' * 26}.", f"{'0' * 26}.{'x' * 3001}"):
        answer = await gateway.call("GET", f"/t/{token}", key=None)
        assert (answer.status, answer.body["code"]) == (404, "not_found")
