"""What senders' settings may hold, for every kind of provider."""

from typing import Any

import pytest

from services.campaigns.domain.audience import Channel
from services.campaigns.providers.registry import KINDS
from services.campaigns.providers.settings import Refused, checked, filled

WHOLE: dict[str, dict[str, Any]] = {
    "http": {"url": "https://x.test/messages", "batch_url": "https://x.test/batch", "max_batch": 100},
    "twilio": {"account_sid": "AC1"},
    "smtp": {"host": "smtp.test", "port": 2525, "tls": "none", "from_name": "Café", "connections": 3},
    "sandbox": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_fit_are_kept_as_they_are(kind: str) -> None:
    found = checked(KINDS[kind].settings, WHOLE[kind], provider=kind, noun="setting")
    assert found == WHOLE[kind]
    assert filled(KINDS[kind].settings, found).keys() == KINDS[kind].settings.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_fits(kind: str) -> None:
    for name, setting in KINDS[kind].settings.items():
        assert setting.default is None or setting.kind.fits(setting.default), name


@pytest.mark.parametrize(
    ("kind", "change", "name"),
    [
        ("http", {"token": "x"}, "token"),
        ("http", {"max_batch": 0}, "max_batch"),
        ("http", {"max_batch": 1.5}, "max_batch"),
        ("http", {"max_batch": True}, "max_batch"),
        ("http", {"batch_url": "file:///etc/passwd"}, "batch_url"),
        ("http", {"keys_kept_hours": 0}, "keys_kept_hours"),
        ("twilio", {"account_sid": "../x"}, "account_sid"),
        ("twilio", {"base_url": "x"}, "base_url"),
        ("smtp", {"host": "a b"}, "host"),
        ("smtp", {"host": ""}, "host"),
        ("smtp", {"port": 65536}, "port"),
        ("smtp", {"tls": "maybe"}, "tls"),
        ("smtp", {"from_name": "a\r\nBcc: x"}, "from_name"),
        ("smtp", {"connections": 0}, "connections"),
        ("sandbox", {"url": "https://x.test"}, "url"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(kind: str, change: dict[str, Any], name: str) -> None:
    with pytest.raises(Refused) as caught:
        checked(KINDS[kind].settings, WHOLE[kind] | change, provider=kind, noun="setting")
    assert caught.value.name == name


@pytest.mark.parametrize(("kind", "name"), [("http", "url"), ("twilio", "account_sid"), ("smtp", "host")])
def test_what_is_needed_is_named(kind: str, name: str) -> None:
    with pytest.raises(Refused) as caught:
        checked(KINDS[kind].settings, {}, provider=kind, noun="setting")
    assert caught.value.name == name


def test_channels() -> None:
    assert KINDS["twilio"].channels == {Channel.SMS, Channel.WHATSAPP}
    assert KINDS["smtp"].channels == {Channel.EMAIL}
