"""Files for the do-not-contact list, on their way through."""

import aiohttp
import pytest

from carillon.contacts.v1 import contacts_pb2
from carillon.contacts.v1 import suppression_uploads_pb2 as pb
from tests.service.gateway.conftest import Gateway

CSV = b"phone\n+1234567890\n12ab\n"
PATH = "/v1/suppressions/import"


def form(fields: dict[str, str], *, behind: bool = False) -> aiohttp.FormData:
    data = aiohttp.FormData()
    if behind:
        data.add_field("file", CSV, filename="stop.csv", content_type="text/csv")
    for name, value in fields.items():
        data.add_field(name, value, content_type="text/plain")
    if not behind:
        data.add_field("file", CSV, filename="stop.csv", content_type="text/csv")
    return data


async def test_a_file_is_sent_with_its_options_first(gateway: Gateway) -> None:
    error = contacts_pb2.RowError(row=3, code="invalid_phone", reason="Invalid phone format", column="phone")
    gateway.suppression_uploads.answers["UploadSuppressions"] = pb.UploadSuppressionsResponse(
        imported=1, updated=2, duplicates=3, failed=1, errors=[error]
    )
    data = form({"default_region": "US", "channels": "sms, Voice", "reason": "law"})
    answer = await gateway.call("POST", PATH, data=data, headers={"Idempotency-Key": "k"})
    assert answer.status == 200
    assert answer.body == {
        "imported": 1, "updated": 2, "failed": 1, "duplicates": 3,
        "errors": [{"row": 3, "reason": "Invalid phone format", "code": "invalid_phone", "column": "phone"}],
    }  # fmt: skip
    received = gateway.suppression_uploads.last("UploadSuppressions")
    first, *chunks, last = received.requests
    assert first.options == pb.UploadSuppressionsOptions(
        default_region="US", channels=[contacts_pb2.CHANNEL_SMS, contacts_pb2.CHANNEL_VOICE], reason="law"
    )
    assert b"".join(one.chunk for one in chunks) == CSV
    assert last.end
    assert received.call.idempotency is not None


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"channels": "sms,fax"}, "/channels"),
        ({"default_region": "USA"}, "/default_region"),
        ({"reason": "x" * 201}, "/reason"),
    ],
)
async def test_options_that_are_refused(gateway: Gateway, fields: dict[str, str], pointer: str) -> None:
    answer = await gateway.call("POST", PATH, data=form(fields))
    assert (answer.status, [one["pointer"] for one in answer.body["errors"]]) == (422, [pointer])


async def test_options_behind_the_file_are_refused_and_nothing_is_kept(gateway: Gateway) -> None:
    answer = await gateway.call("POST", PATH, data=form({"channels": "sms"}, behind=True))
    assert (answer.status, [one["pointer"] for one in answer.body["errors"]]) == (422, ["/channels"])
    # The call may have ended before it reached the service at all.
    assert not any(one.end for call in gateway.suppression_uploads.received for one in call.requests)
