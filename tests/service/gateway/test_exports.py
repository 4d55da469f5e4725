"""Exports through the gateway: what is asked, what comes back, and the file as it streams through."""

import pytest

from carillon.contacts.v1 import contacts_pb2
from carillon.contacts.v1 import exports_pb2 as pb
from chassis import ids
from chassis.errors import NotFound, Reason
from services.gateway import service
from tests.service.gateway.conftest import Gateway

EXP = ids.encode("exp", ids.new())


def export(status: pb.ExportStatus.ValueType = pb.EXPORT_STATUS_COMPLETED) -> pb.Export:
    found = pb.Export(id=EXP, status=status, rows=2, bytes=11)
    found.resource, found.format = pb.EXPORT_RESOURCE_CONTACTS, pb.EXPORT_FORMAT_CSV
    for field in ("created_at", "finished_at", "expires_at"):
        getattr(found, field).FromJsonString("2026-03-01T09:00:00Z")
    return found


async def test_an_export_is_accepted_and_found_again(gateway: Gateway) -> None:
    queued = export(pb.EXPORT_STATUS_QUEUED)
    queued.ClearField("finished_at")
    queued.ClearField("expires_at")
    gateway.exports.answers["CreateExport"] = pb.CreateExportResponse(export=queued)
    body = {"resource": "contacts", "format": "csv", "filter": {"tag": "premium", "stage": "lead"}}
    answer = await gateway.call("POST", "/v1/exports", json=body)
    assert (answer.status, answer.headers["Location"]) == (202, f"/v1/exports/{EXP}")
    assert answer.body == {
        "id": EXP,
        "resource": "contacts",
        "format": "csv",
        "status": "queued",
        "progress": {"rows": 2, "bytes": 11},
        "error": None,
        "created_at": "2026-03-01T09:00:00Z",
        "finished_at": None,
        "expires_at": None,
        "download_path": None,
    }
    asked = gateway.exports.last("CreateExport").request
    assert (asked.resource, asked.format) == (pb.EXPORT_RESOURCE_CONTACTS, pb.EXPORT_FORMAT_CSV)
    assert (asked.contacts.tag, asked.contacts.stage, asked.contacts.HasField("phone")) == ("premium", "lead", False)
    gateway.exports.answers["ListExports"] = pb.ListExportsResponse(exports=[export()], next_cursor="c")
    page = await gateway.call("GET", "/api/v1/exports?limit=1")
    assert page.body["data"][0]["download_path"] == f"/api/v1/exports/{EXP}/download"
    assert (page.body["next_cursor"], page.body["has_more"]) == (gateway.cursor("c"), True)


async def test_a_file_streams_through_as_an_attachment(gateway: Gateway) -> None:
    gateway.exports.answers["GetExport"] = pb.GetExportResponse(export=export())
    gateway.exports.answers["DownloadExport"] = pb.DownloadExportResponse(chunk=b"phone\n+491\n")
    answer = await gateway.call("GET", f"/v1/exports/{EXP}/download")
    assert (answer.status, answer.body) == (200, b"phone\n+491\n")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contacts-20260301.csv"'
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Length"] == "11"


async def test_what_is_not_completed_cannot_be_downloaded(gateway: Gateway) -> None:
    gateway.exports.answers["GetExport"] = pb.GetExportResponse(export=export(pb.EXPORT_STATUS_RUNNING))
    answer = await gateway.call("GET", f"/v1/exports/{EXP}/download")
    assert (answer.status, answer.code, answer.body["current_status"]) == (409, "invalid_state", "running")


async def test_who_is_asked_for_is_looked_up_first(gateway: Gateway) -> None:
    seg, cmp = ids.encode("seg", ids.new()), ids.encode("cmp", ids.new())
    gateway.exports.answers["CreateExport"] = pb.CreateExportResponse(export=export())
    for body in (
        {"resource": "segment_members", "segment_id": seg, "format": "vcf"},
        {"resource": "recipients", "campaign_id": cmp, "format": "xlsx", "filter": {"status": "failed"}},
        {"resource": "optouts", "filter": {"channel": "sms", "search": "ann"}},
    ):
        assert (await gateway.call("POST", "/v1/exports", json=body)).status == 202, body
    asked = [one.request for one in gateway.exports.received if one.method == "CreateExport"]
    assert (asked[0].segment_id, asked[0].format) == (seg, pb.EXPORT_FORMAT_VCF)
    assert (asked[1].campaign_id, asked[1].recipient_status) == (cmp, "failed")
    assert (asked[2].channel, asked[2].contacts.search) == (contacts_pb2.CHANNEL_SMS, "ann")
    assert gateway.segments.last("GetSegment").request.id == seg
    gateway.campaigns.answers["GetCampaign"] = NotFound(Reason.NOT_FOUND, "no such campaign")
    body = {"resource": "recipients", "campaign_id": cmp}
    assert (await gateway.call("POST", "/v1/exports", json=body)).status == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"resource": "recipients"}, "/campaign_id"),
        ({"resource": "segment_members"}, "/segment_id"),
        ({"resource": "contacts", "campaign_id": "x"}, "/campaign_id"),
        ({"resource": "contacts", "filter": {"status": "failed"}}, "/filter/status"),
        ({"resource": "recipients", "campaign_id": "x", "filter": {"tag": "a"}}, "/filter/tag"),
        ({"resource": "optouts", "filter": {"stage": "lead"}}, "/filter/stage"),
    ],
)
async def test_a_filter_that_would_be_passed_over_is_refused(gateway: Gateway, body: object, pointer: str) -> None:
    answer = await gateway.call("POST", "/v1/exports", json=body)
    assert answer.status == 422
    assert [one["pointer"] for one in answer.body["errors"]] == [pointer]
    assert not gateway.exports.received


async def test_a_key_reads_what_its_scopes_read(gateway: Gateway) -> None:
    made = await service.create_account(gateway.work, "Scoped", scopes=["contacts:read"])
    body = {"resource": "recipients", "campaign_id": ids.encode("cmp", ids.new())}
    answer = await gateway.call("POST", "/v1/exports", json=body, key=made.key)
    assert (answer.status, answer.code) == (403, "permission_denied")


@pytest.mark.parametrize(
    ("resource", "scope"),
    [(pb.EXPORT_RESOURCE_RECIPIENTS, "campaigns:read"), (pb.EXPORT_RESOURCE_SEGMENT_MEMBERS, "segments:read")],
)
async def test_a_file_is_for_those_who_could_have_asked_for_it(
    gateway: Gateway, resource: pb.ExportResource.ValueType, scope: str
) -> None:
    found = export()
    found.resource = resource
    gateway.exports.answers["GetExport"] = pb.GetExportResponse(export=found)
    gateway.exports.answers["DownloadExport"] = pb.DownloadExportResponse(chunk=b"x" * 11)
    for scopes, status in ((["contacts:read"], 403), (["contacts:read", scope], 200)):
        key = (await service.create_account(gateway.work, "Scoped", scopes=scopes)).key
        answer = await gateway.call("GET", f"/v1/exports/{EXP}/download", key=key)
        assert answer.status == status
        assert status == 200 or answer.body["scope"] == scope


async def test_what_is_refused_is_named(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/v1/exports", json={"resource": "cats", "filter": {"colour": "red"}})
    assert answer.status == 422
    assert {one["pointer"] for one in answer.body["errors"]} == {"/resource", "/filter/colour"}
    assert (await gateway.call("GET", "/v1/exports/exp_1")).status == 404
