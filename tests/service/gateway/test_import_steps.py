"""Imports in two steps, as the REST client sees them."""

import json
from typing import Any

import aiohttp
import pytest

from carillon.contacts.v1 import contacts_pb2, imports_pb2
from chassis import ids
from chassis.errors import FailedPrecondition, NotFound, Reason
from tests.service.gateway.conftest import Gateway

ID = ids.encode("imp", ids.new())
LIST_ID = ids.encode("lst", ids.new())


def job(status: Any, **fields: Any) -> contacts_pb2.Import:
    return contacts_pb2.Import(id=ID, status=status, **fields)


def preview() -> contacts_pb2.ImportPreview:
    column = contacts_pb2.ImportColumn(
        title="Mobile", samples=["1"], suggested_target="phone", target="phone", keep_existing=True
    )
    return contacts_pb2.ImportPreview(
        encoding="utf-8", delimiter=";", has_header=True, columns=[column], rows=[contacts_pb2.ImportRow(cells=["1"])]
    )


async def test_an_upload_is_held_and_shown(gateway: Gateway) -> None:
    held: dict[str, Any] = {
        "import": job(contacts_pb2.IMPORT_STATUS_UPLOADED, rows_total=1, file_name="a.csv"),
        "preview": preview(),
    }
    gateway.contacts.answers["CreateImport"] = contacts_pb2.CreateImportResponse(**held)
    gateway.contacts.answers["GetImport"] = contacts_pb2.GetImportResponse(**held)
    form = aiohttp.FormData()
    form.add_field("file", b"Mobile\n1\n", filename="a.csv", content_type="text/csv")
    answer = await gateway.call("POST", "/v1/imports", data=form)
    assert (answer.status, answer.headers["location"]) == (201, f"/v1/imports/{ID}")
    assert (answer.body["status"], answer.body["rows_total"], answer.body["file_name"]) == ("uploaded", 1, "a.csv")
    assert answer.body["preview"] == {
        "encoding": "utf-8",
        "delimiter": ";",
        "has_header": True,
        "columns": [
            {"index": 0, "title": "Mobile", "samples": ["1"], "suggested_target": "phone", "target": "phone",
             "keep_existing": True}
        ],
        "rows": [["1"]],
    }  # fmt: skip
    requests = gateway.contacts.last("CreateImport").requests
    assert (requests[0].options.hold, requests[0].options.file_name, requests[-1].end) == (True, "a.csv", True)
    assert (await gateway.call("GET", f"/v1/imports/{ID}")).body == answer.body


async def test_a_commit_says_what_becomes_of_the_columns(gateway: Gateway) -> None:
    queued: dict[str, Any] = {"import": job(contacts_pb2.IMPORT_STATUS_QUEUED)}
    gateway.imports.answers["CommitImport"] = imports_pb2.CommitImportResponse(**queued)
    body = {
        "mapping": {"Mobile": "phone", "City": "metadata.city"},
        "keep_existing": ["City", "Name"],
        "on_duplicate": "merge",
        "default_region": "DE",
        "tags": ["a"],
        "list_ids": [LIST_ID],
        "has_header": False,
    }
    answer = await gateway.call("POST", f"/v1/imports/{ID}/commit", json=body)
    assert (answer.status, answer.headers["location"], answer.body["status"]) == (202, f"/v1/imports/{ID}", "queued")
    request = gateway.imports.last("CommitImport").request
    assert [(one.column, one.target, one.keep_existing) for one in request.mapping] == [
        ("Mobile", "phone", False),
        ("City", "metadata.city", True),
        ("Name", "", True),
    ]
    assert (request.on_duplicate, request.default_region, list(request.tags), list(request.list_ids)) == (
        contacts_pb2.ON_DUPLICATE_MERGE,
        "DE",
        ["a"],
        [LIST_ID],
    )
    assert (request.HasField("has_header"), request.has_header) == (True, False)
    for wrong in ({"mapping": {"a": 1}}, {"mapping": ["a"]}, {"on_duplicate": "x"}, {"more": 1}):
        assert (await gateway.call("POST", f"/v1/imports/{ID}/commit", json=wrong)).code == "validation_failed"


async def test_imports_are_listed_and_cancelled(gateway: Gateway) -> None:
    stopped = job(contacts_pb2.IMPORT_STATUS_CANCELLED)
    gateway.imports.answers["ListImports"] = imports_pb2.ListImportsResponse(imports=[stopped], next_cursor="c")
    gateway.imports.answers["CancelImport"] = imports_pb2.CancelImportResponse(**{"import": stopped})
    listed = await gateway.call("GET", "/v1/imports?limit=1")
    assert (listed.body["data"][0]["id"], listed.body["next_cursor"]) == (ID, gateway.cursor("c"))
    cancelled = await gateway.call("POST", f"/v1/imports/{ID}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    gateway.imports.answers["CancelImport"] = FailedPrecondition(
        Reason.INVALID_STATE, "The import is completed already.", metadata={"status": "completed"}
    )
    refused = await gateway.call("POST", f"/v1/imports/{ID}/cancel")
    assert (refused.status, refused.code, refused.body["current_status"]) == (409, "invalid_state", "completed")


@pytest.mark.parametrize(
    ("query", "headers"), [("?format=csv", {}), ("", {"Accept": "text/csv"}), ("", {"Accept": "text/csv;q=1, */*"})]
)
async def test_failed_rows_download_as_a_file(gateway: Gateway, query: str, headers: dict[str, str]) -> None:
    def answer(request: Any) -> imports_pb2.ListImportErrorsResponse:
        error = contacts_pb2.RowError(row=2, code="invalid_phone", reason='No "phone"', column="Mobile")
        rows = [imports_pb2.FailedRow(error=error, cells=cells) for cells in (["bad", "a,b"], ["x"], ["1", "2", "3"])]
        more = "" if request.cursor else "next"
        return imports_pb2.ListImportErrorsResponse(rows=rows, titles=["Mobile", "Name"], next_cursor=more)

    gateway.imports.answers["ListImportErrors"] = answer
    got = await gateway.call("GET", f"/v1/imports/{ID}/errors{query}", headers=headers)
    assert (got.status, got.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = 'bad,"a,b","No ""phone"""\r\nx,,"No ""phone"""\r\n1,2,"No ""phone""",3\r\n'
    assert got.body.decode("utf-8-sig") == "Mobile,Name,carillon_error\r\n" + rows * 2
    assert got.body.startswith(b"\xef\xbb\xbf")


async def test_failed_rows_page_as_json(gateway: Gateway) -> None:
    error = contacts_pb2.RowError(row=2, code="invalid_phone", reason="Invalid phone format", column="Mobile")
    answered = imports_pb2.ListImportErrorsResponse(rows=[imports_pb2.FailedRow(error=error)], next_cursor="n")
    gateway.imports.answers["ListImportErrors"] = answered
    answer = await gateway.call(
        "GET", f"/v1/imports/{ID}/errors?limit=1&cursor={gateway.cursor('c')}", headers={"Accept": "*/*"}
    )
    assert answer.body == {
        "data": [{"row": 2, "reason": "Invalid phone format", "code": "invalid_phone", "column": "Mobile"}],
        "next_cursor": gateway.cursor("n"),
        "has_more": True,
    }
    gateway.imports.answers["ListImportErrors"] = NotFound(Reason.NOT_FOUND, "No import has the id.")
    for query in ("", "?format=csv"):
        assert (await gateway.call("GET", f"/v1/imports/{ID}/errors{query}")).code == "not_found"


async def test_a_dry_run_shows_what_would_change(gateway: Gateway) -> None:
    done = job(contacts_pb2.IMPORT_STATUS_COMPLETED, dry_run=True, rows=1, updated=1)
    change = contacts_pb2.ImportChange(contact_id="c", before_json='{"stage":null}', after_json='{"stage":"lead"}')
    found: dict[str, Any] = {"import": done, "changes": [change, contacts_pb2.ImportChange(after_json='{"phone":"1"}')]}
    gateway.contacts.answers["GetImport"] = contacts_pb2.GetImportResponse(**found)
    answer = await gateway.call("GET", f"/v1/imports/{ID}")
    assert (answer.body["dry_run"], answer.body["updated"]) == (True, 1)
    assert answer.body["changes"] == [
        {"contact_id": "c", "before": {"stage": None}, "after": {"stage": "lead"}},
        {"contact_id": None, "before": {}, "after": {"phone": "1"}},
    ]
    committed: dict[str, Any] = {"import": job(contacts_pb2.IMPORT_STATUS_QUEUED, dry_run=True)}
    gateway.imports.answers["CommitImport"] = imports_pb2.CommitImportResponse(**committed)
    await gateway.call("POST", f"/v1/imports/{ID}/commit", json={"dry_run": True})
    assert gateway.imports.last("CommitImport").request.dry_run


async def test_an_undo_is_accepted_and_what_it_left_is_listed(gateway: Gateway) -> None:
    undone = job(contacts_pb2.IMPORT_STATUS_UNDONE, imported=3, undo_deleted=2, undo_kept=1)
    gateway.imports.answers["UndoImport"] = imports_pb2.UndoImportResponse(**{"import": undone})
    answer = await gateway.call("POST", f"/v1/imports/{ID}/undo")
    assert (answer.status, answer.headers["location"]) == (202, f"/v1/imports/{ID}")
    assert (answer.body["status"], answer.body["undo"]) == ("undone", {"deleted": 2, "kept": 1})
    left = imports_pb2.Leftover(contact_id="c", reason=imports_pb2.LEFTOVER_REASON_CHANGED_SINCE)
    gateway.imports.answers["ListImportLeftovers"] = imports_pb2.ListImportLeftoversResponse(leftovers=[left])
    listed = await gateway.call("GET", f"/v1/imports/{ID}/leftovers?limit=2")
    assert listed.body["data"] == [{"contact_id": "c", "reason": "changed_since"}]
    assert gateway.imports.last("ListImportLeftovers").request.page_size == 2


async def test_progress_is_streamed_until_the_end(gateway: Gateway) -> None:
    seen = iter([(contacts_pb2.IMPORT_STATUS_RUNNING, 1), (contacts_pb2.IMPORT_STATUS_RUNNING, 1),
                 (contacts_pb2.IMPORT_STATUS_COMPLETED, 2)])  # fmt: skip

    def answer(_: Any) -> contacts_pb2.GetImportResponse:
        status, rows = next(seen)
        fields: dict[str, Any] = {"import": job(status, rows=rows)}
        return contacts_pb2.GetImportResponse(**fields)

    gateway.contacts.answers["GetImport"] = answer
    got = await gateway.call("GET", f"/v1/imports/{ID}/events")
    assert (got.status, got.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    events = [one.split("\n") for one in got.body.decode().strip().split("\n\n")]
    assert [one[0] for one in events] == ["event: progress", "event: ended"]
    bodies = [json.loads(one[1].removeprefix("data: ")) for one in events]
    assert [(one["status"], one["progress"]["rows"]) for one in bodies] == [("running", 1), ("completed", 2)]
    gateway.contacts.answers["GetImport"] = NotFound(Reason.NOT_FOUND, "No import has the id.")
    assert (await gateway.call("GET", f"/v1/imports/{ID}/events")).code == "not_found"
