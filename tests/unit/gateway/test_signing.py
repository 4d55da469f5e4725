"""Signatures, checked by the package of Standard Webhooks itself."""

import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.gateway.webhooks import signing

BODY = '{"type":"contact.updated","data":{"name":"Käthe"}}'.encode()
EVENT = "01890a5d-ac96-774b-bcce-b302099a8057"


def signed(*keys: str) -> dict[str, str]:
    return signing.headers(event_id=EVENT, timestamp=int(time.time()), body=BODY, keys=keys)


def test_a_receiver_with_the_secret_accepts_the_request() -> None:
    secret = signing.new_secret()
    assert Webhook(secret).verify(BODY, signed(secret))["data"] == {"name": "Käthe"}


def test_in_a_rotation_receivers_with_either_secret_accept_it() -> None:
    new, old = signing.new_secret(), signing.new_secret()
    headers = signed(new, old)
    assert Webhook(new).verify(BODY, headers) == Webhook(old).verify(BODY, headers)


@pytest.mark.parametrize(
    "change",
    [{"webhook-id": "other"}, {"webhook-timestamp": str(int(time.time()) - 1)}, {}],
    ids=["another id", "another time", "another secret"],
)
def test_anything_else_is_refused(change: dict[str, str]) -> None:
    secret = signing.new_secret()
    receiver = Webhook(secret if change else signing.new_secret())
    with pytest.raises(WebhookVerificationError):
        receiver.verify(BODY, signed(secret) | change)


def test_the_signature_is_what_the_package_makes() -> None:
    secret, now = signing.new_secret(), int(time.time())
    theirs = Webhook(secret).sign(EVENT, datetime.fromtimestamp(now, UTC), BODY.decode())
    assert signing.signature(secret, event_id=EVENT, timestamp=now, body=BODY) == theirs
