"""Events as JSON, and the objects that they tell of."""

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from docs.event_examples import EXAMPLES
from services.gateway.convert import events
from services.gateway.domain.event_types import EVENT_TYPES


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_the_json_is_the_message(event_type: str) -> None:
    """protobuf's own reader makes the same message of it again."""
    message = EXAMPLES[event_type]
    text = orjson.dumps(events.plain(message)).decode()
    again = json_format.Parse(text, type(message)())
    assert again == message


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_type_names_its_objects(event_type: str) -> None:
    data = EXAMPLES[event_type].SerializeToString()
    assert events.objects(event_type, data)


def test_revisions_are_numbers() -> None:
    """As text, 10 would be less than 9."""
    message: Message = EXAMPLES["contact.updated"]
    assert isinstance(events.plain(message)["changes"][0]["contact"]["version"], int)


def test_a_type_of_a_newer_version_is_passed_on_as_it_is() -> None:
    from datetime import UTC, datetime

    shown = events.envelope(
        event_id="x", event_type="contact.merged", time=datetime(2026, 1, 1, tzinfo=UTC), position=1, data=b"\x01"
    )
    assert (shown["data"], shown["data_base64"]) == (None, "AQ==")
    assert events.objects("contact.merged", b"\x01") == {}
