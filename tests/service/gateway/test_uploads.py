"""Files on their way through: into the stream, within limits, nothing kept of what is refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import InvalidArgument, Reason
from formats.records import FAILED_ON_OUR_SIDE
from tests.service import stack
from tests.service.gateway.conftest import UPLOAD_LIMIT, Gateway

IMPORT_ID = ids.encode("imp", ids.new())
LIST_ID = ids.encode("lst", ids.new())
CAMPAIGN_ID = ids.encode("cmp", ids.new())
CSV = b"phone,name\n+1234567890,John\n"
IMPORT = "/v1/contacts/import"


def state(status: Any, **counts: Any) -> pb.Import:
    return pb.Import(id=IMPORT_ID, status=status, **counts)


def named(found: pb.Import) -> dict[str, Any]:
    """`import` is a keyword in Python."""
    return {"import": found}


def queued(gateway: Gateway) -> None:
    gateway.contacts.answers["CreateImport"] = pb.CreateImportResponse(**named(state(pb.IMPORT_STATUS_QUEUED)))


def becomes(gateway: Gateway, found: pb.Import) -> None:
    gateway.contacts.answers["GetImport"] = pb.GetImportResponse(**named(found))


def form(data: Any = CSV, **fields: str) -> aiohttp.FormData:
    made = aiohttp.FormData()
    made.add_field("file", data, filename="contacts.csv", content_type="text/csv")
    for name, value in fields.items():
        made.add_field(name, value)
    return made


def sent(gateway: Gateway) -> tuple[bytes, pb.ImportOptions, bool]:
    """What reached the service, if anything did before the call was cancelled."""
    requests = [one for got in gateway.contacts.received if got.method == "CreateImport" for one in got.requests]
    data = b"".join(one.chunk for one in requests)
    options = next((one.options for one in requests if one.HasField("options")), pb.ImportOptions())
    return data, options, bool(requests) and requests[-1].end


async def test_an_import_that_ends_answers_as_the_seed_shows(gateway: Gateway) -> None:
    queued(gateway)
    errors = [pb.RowError(row=15, code="invalid_phone", reason="Invalid phone format", column="phone")]
    counts = {"imported": 1250, "failed": 3, "duplicates": 47, "updated": 2}
    becomes(gateway, state(pb.IMPORT_STATUS_COMPLETED, errors=errors, **counts))
    answer = await gateway.call(
        "POST", IMPORT, data=form(on_duplicate="merge", default_region="DE", tags="a, b", list_id=LIST_ID)
    )
    assert answer.status == 200
    assert answer.body == {
        **counts,
        "import_id": IMPORT_ID,
        "duplicate_of": None,
        "errors": [{"row": 15, "reason": "Invalid phone format", "code": "invalid_phone", "column": "phone"}],
    }
    data, options, ended = sent(gateway)
    assert (data, ended) == (CSV, True)
    assert (options.file_name, options.content_type) == ("contacts.csv", "text/csv")
    assert (options.on_duplicate, options.default_region, list(options.tags), list(options.list_ids)) == (
        pb.ON_DUPLICATE_MERGE,
        "DE",
        ["a", "b"],
        [LIST_ID],
    )


async def test_an_import_that_takes_long_is_accepted_with_its_location(gateway: Gateway) -> None:
    queued(gateway)
    becomes(gateway, state(pb.IMPORT_STATUS_RUNNING, bytes_total=28, bytes_done=10))
    answer = await gateway.call("POST", "/api" + IMPORT, data=form())
    assert answer.status == 202
    assert answer.headers["location"] == f"/api/v1/imports/{IMPORT_ID}"
    assert answer.body["status"] == "running"
    assert answer.body["progress"] == {"bytes_total": 28, "bytes_done": 10, "rows": 0}
    later = await gateway.call("GET", f"/v1/imports/{IMPORT_ID}")
    assert later.body == {**answer.body, "preview": None, "changes": None}


async def test_an_import_that_is_cancelled_meanwhile_is_not_waited_for(gateway: Gateway) -> None:
    queued(gateway)
    becomes(gateway, state(pb.IMPORT_STATUS_CANCELLED))
    answer = await gateway.call("POST", IMPORT, data=form())
    assert (answer.status, answer.body["status"]) == (202, "cancelled")
    assert [one.method for one in gateway.contacts.received] == ["CreateImport", "GetImport"]


async def test_a_client_may_prefer_not_to_wait(gateway: Gateway) -> None:
    queued(gateway)
    answer = await gateway.call("POST", IMPORT, data=form(), headers={"Prefer": "respond-async"})
    assert (answer.status, answer.headers["preference-applied"]) == (202, "respond-async")
    assert [one.method for one in gateway.contacts.received] == ["CreateImport"]


async def test_a_file_that_breaks_on_the_way_is_a_problem_with_its_counts(gateway: Gateway) -> None:
    queued(gateway)
    becomes(gateway, state(pb.IMPORT_STATUS_FAILED, error="A quote is never closed.", imported=7))
    answer = await gateway.call("POST", IMPORT, data=form())
    assert (answer.status, answer.code) == (422, "file_unreadable")
    assert (answer.body["import_id"], answer.body["imported"]) == (IMPORT_ID, "7")


async def test_an_import_that_we_failed_is_no_fault_of_the_file(gateway: Gateway) -> None:
    queued(gateway)
    becomes(gateway, state(pb.IMPORT_STATUS_FAILED, error=FAILED_ON_OUR_SIDE))
    answer = await gateway.call("POST", IMPORT, data=form())
    assert (answer.status, answer.code, answer.body["import_id"]) == (500, "internal", IMPORT_ID)


async def test_what_the_service_refuses_is_told(gateway: Gateway) -> None:
    gateway.contacts.answers["CreateImport"] = InvalidArgument(
        Reason.UNKNOWN_COLUMNS, "No column is a phone.", metadata={"columns": "a, b"}
    )
    answer = await gateway.call("POST", IMPORT, data=form(b"a,b\n" * 200_000))
    assert (answer.status, answer.code, answer.body["columns"]) == (422, "unknown_columns", ["a", "b"])


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"on_duplicate": "replace"}, "/on_duplicate", "not_allowed"),
        ({"default_region": "Germany"}, "/default_region", "invalid_format"),
        ({"colour": "red"}, "/colour", "unknown_field"),
    ],
)
async def test_a_bad_option_ends_the_upload_without_its_end(
    gateway: Gateway, fields: dict[str, str], pointer: str, code: str
) -> None:
    queued(gateway)
    answer = await gateway.call("POST", IMPORT, data=form(**fields))
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert answer.body["errors"][0]["pointer"] == pointer
    assert answer.body["errors"][0]["code"] == code
    assert not any(sent(gateway)[2] for one in gateway.contacts.received)


async def test_a_form_without_the_file_asks_nobody(gateway: Gateway) -> None:
    data = aiohttp.FormData()
    data.add_field("tags", "a", content_type="text/plain")
    answer = await gateway.call("POST", IMPORT, data=data)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/file")
    assert gateway.contacts.received == []


async def test_what_is_no_form_is_refused(gateway: Gateway) -> None:
    answer = await gateway.call("POST", IMPORT, data=CSV, headers={"Content-Type": "text/csv"})
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    cut = await gateway.call(
        "POST",
        IMPORT,
        data=b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nphone\n',
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert (cut.status, cut.code) == (400, "upload_incomplete")
    assert not sent(gateway)[2]


async def test_two_gigabytes_are_refused_by_their_declaration(gateway: Gateway) -> None:
    """Before a byte of the body is sent."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {IMPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.account.key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2147483648\r\n"
        "X-Request-Id: two-gigabytes\r\n\r\n".encode()
    )
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 413")
    # A stream that an earlier test broke off may arrive late.
    assert not [one for one in gateway.contacts.received if one.call.request_id == "two-gigabytes"]


async def test_an_undeclared_length_is_bounded_too(gateway: Gateway) -> None:
    queued(gateway)

    async def body() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nphone\n'
        for _ in range(UPLOAD_LIMIT // 65_536 + 1):
            yield b"+1555010000\n" * 5461

    answer = await gateway.call(
        "POST", IMPORT, data=body(), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert not sent(gateway)[2]


async def test_a_client_that_hangs_up_leaves_no_end(gateway: Gateway) -> None:
    queued(gateway)
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {IMPORT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.account.key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 2000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'.encode()
    )
    writer.write(b"+1555010000\n" * 60_000)
    await writer.drain()

    async def begun() -> bool:
        return bool(gateway.contacts.received and gateway.contacts.received[0].requests)

    await stack.eventually(begun)
    writer.close()
    # The gateway lives on, and what it sent has no end.
    assert (await gateway.call("GET", "/v1/contacts/lookup")).status == 422
    assert not sent(gateway)[2]


async def test_an_idempotent_upload_is_known_by_its_name_and_length(gateway: Gateway) -> None:
    queued(gateway)
    becomes(gateway, state(pb.IMPORT_STATUS_COMPLETED))
    prints = []
    for data in (CSV, CSV, CSV + b"+15550101,Jane\n"):
        await gateway.call("POST", IMPORT, data=form(data), headers={"Idempotency-Key": "up"})
        idempotency = gateway.contacts.last("CreateImport").call.idempotency
        assert idempotency is not None
        prints.append(idempotency.fingerprint)
    assert prints[0] == prints[1] != prints[2]


async def test_recipients_are_uploaded_with_the_campaign_first(gateway: Gateway) -> None:
    gateway.campaigns.answers["UploadRecipients"] = campaigns_pb2.UploadRecipientsResponse(
        imported=2, failed=1, duplicates=3, suppressed=4
    )
    data = aiohttp.FormData()
    data.add_field("default_region", "US", content_type="text/plain")
    data.add_field("file", CSV * 100_000, filename="r.csv", content_type="text/csv")
    answer = await gateway.call("POST", f"/v1/campaigns/{CAMPAIGN_ID}/recipients", data=data)
    assert answer.status == 200
    assert answer.body == {"imported": 2, "failed": 1, "duplicates": 3, "suppressed": 4, "errors": []}
    requests = gateway.campaigns.last("UploadRecipients").requests
    assert requests[0].options.campaign_id == CAMPAIGN_ID
    assert requests[0].options.default_region == "US"
    assert b"".join(one.chunk for one in requests) == CSV * 100_000
    assert requests[-1].end
