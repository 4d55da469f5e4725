"""Columns, addresses and variables."""

import pytest

from services.campaigns.addresses import normalise
from services.campaigns.domain.audience import Channel, address_column, contact_variables, variable_name

SMS, EMAIL = Channel.SMS, Channel.EMAIL


@pytest.mark.parametrize(
    ("columns", "channel", "at"),
    [
        (["phone", "name"], SMS, 0),
        (["Name", "Mobile Number"], SMS, 1),
        (["mobile", "phone"], SMS, 1),
        (["E-Mail"], EMAIL, 0),
        (["email"], SMS, None),
        (["phone"], EMAIL, None),
        ([], SMS, None),
    ],
)
def test_address_column(columns: list[str], channel: Channel, at: int | None) -> None:
    assert address_column(columns, channel) == at


@pytest.mark.parametrize(
    ("header", "name"),
    [("name", "name"), ("First Name", "first_name"), ("code ", "code"), ("2nd", "_2nd"), ("Größe!", "größe"), ("", "")],
)
def test_variable_name(header: str, name: str) -> None:
    assert variable_name(header) == name


@pytest.mark.parametrize(
    ("text", "region", "address"),
    [
        ("+1234567890", None, "+1234567890"),
        ("+1 (234) 567-890", None, "+1234567890"),
        ("0044 7400 123456", None, "+447400123456"),
        ("tel:+1-234-567-890", None, "+1234567890"),
        ("07400 123456", "GB", "+447400123456"),
        ("07400 123456", None, None),
        ("+0123456789", None, None),
        ("+12345", None, None),
        ("+1234567890123456", None, None),
        ("1-800-FLOWERS", "US", None),
        ("", None, None),
    ],
)
def test_phones(text: str, region: str | None, address: str | None) -> None:
    assert normalise(text, SMS, region=region) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Ann@Example.COM ", "ann@example.com"),
        ("nobody", None),
        ("a@b", None),
        ("a@b.c\n@d", None),
        ("x" * 250 + "@example.com", None),
    ],
)
def test_emails(text: str, address: str | None) -> None:
    assert normalise(text, EMAIL, region=None) == address


def test_contact_variables_are_only_those_asked_for() -> None:
    fields = {"name": "Ann", "phone": "+1234567890"}
    metadata = {"plan": "gold", "name": "shadowed", "private": 1}
    assert contact_variables(fields, metadata, ["name", "plan", "missing"]) == {"name": "Ann", "plan": "gold"}
