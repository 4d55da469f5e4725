"""A filter says the same in a query and in a body."""

import inspect
from datetime import UTC, datetime

from carillon.contacts.v1 import contacts_pb2 as pb
from services.gateway.convert.contact_filters import of_body
from services.gateway.routers.contact_filters import contact_filter
from services.gateway.schemas.contact_filters import ContactFilter


def test_a_body_has_every_parameter_of_the_query() -> None:
    assert list(ContactFilter.model_fields) == list(inspect.signature(contact_filter).parameters)


def test_every_field_of_a_body_goes_on() -> None:
    body = ContactFilter.model_validate(
        {
            "search": "joh", "stage": "lead", "country": "US", "gender": "f", "validity": "email:invalid",
            "channel": "sms", "tag": "t", "list_id": "lst_x", "phone": "+1", "email": "a@b.c", "external_id": "x",
            "created_after": "2026-03-01T09:00:00Z", "created_before": "2026-03-02T09:00:00Z",
            "updated_after": "2026-03-03T09:00:00+02:00",
        }
    )  # fmt: skip
    found = of_body(body)
    assert (found.search, found.email_validity, found.channel) == ("joh", pb.VALIDITY_INVALID, pb.CHANNEL_SMS)
    assert found.updated_after.ToDatetime(tzinfo=UTC) == datetime(2026, 3, 3, 7, tzinfo=UTC)
    given = {field.name for field, _ in found.ListFields()}
    assert given == (set(ContactFilter.model_fields) - {"validity"}) | {"email_validity"}


def test_an_empty_body_narrows_nothing() -> None:
    assert of_body(ContactFilter()) == pb.ListContactsRequest()
