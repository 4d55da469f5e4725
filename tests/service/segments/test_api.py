"""The RPCs: what they answer, what they refuse, and that no account sees another's."""

import pytest

from carillon.events.v1 import events_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import Aborted, InvalidArgument, NotFound, PermissionDenied, Reason
from services.segments.evaluation import Evaluator
from tests.service.segments.world import PREMIUM, changes, contact, deliver, events_of, rule
from tests.service.stack import eventually

ARRAY = rule(("email", "ends_with", ["@a.com", "@B.com"]))


async def test_a_segment_reads_back_as_it_was_written(api, builder):
    created = await api.create(ARRAY, name="Two domains")

    assert created.id.startswith("seg_")
    assert created.rule_json == ARRAY
    assert (created.name, created.version, created.member_count) == ("Two domains", 1, 0)
    assert created.created_at == created.updated_at
    await eventually(lambda: api.is_ready(created.id))
    read = await api.get(created.id)
    assert read.rule_json == ARRAY
    assert read.as_of.ToDatetime() >= created.as_of.ToDatetime()


@pytest.mark.parametrize(
    ("name", "written", "reason", "pointers"),
    [
        ("", PREMIUM, Reason.VALIDATION_FAILED, ["/name"]),
        ("x" * 201, PREMIUM, Reason.VALIDATION_FAILED, ["/name"]),
        ("ok", rule(), Reason.INVALID_RULE, ["/conditions"]),
        (
            "ok",
            rule(("tags", "contains", "premium"), ("stage", "gt", 1), ("height", "greater", 1)),
            Reason.INVALID_RULE,
            ["/conditions/1/operator", "/conditions/2/field", "/conditions/2/operator"],
        ),
        (
            "ok",
            rule(("name", "equals", ["a", ""])),
            Reason.INVALID_RULE,
            ["/conditions/0/value/1"],
        ),
    ],
)
async def test_what_is_refused_names_the_place(api, name, written, reason, pointers):
    with pytest.raises(InvalidArgument) as caught:
        await api.create(written, name=name)

    assert caught.value.reason == reason
    assert [violation.pointer for violation in caught.value.violations] == pointers
    assert {violation.code for violation in caught.value.violations} == {str(reason)}


async def test_an_edit_changes_only_what_it_names(api):
    created = await api.create()

    renamed = await api.update(created.id, name="Gold")

    assert (renamed.name, renamed.version, renamed.rule_json) == ("Gold", 2, PREMIUM)
    # The first build goes on; no other was begun.
    with pytest.raises(InvalidArgument):
        await api.update(created.id, rule_json=rule())
    assert (await api.get(created.id)).version == 2


async def test_an_edit_to_the_same_rule_builds_nothing(api, builder):
    created = await api.create()
    await eventually(lambda: api.is_ready(created.id))

    edited = await api.update(created.id, rule_json=PREMIUM)

    assert edited.status == pb.SEGMENT_STATUS_READY
    assert edited.version == 2


async def test_an_edit_of_another_version_is_refused(api):
    created = await api.create()
    await api.update(created.id, name="Gold")

    with pytest.raises(Aborted) as caught:
        await api.update(created.id, name="Silver", if_version=1)
    with pytest.raises(Aborted):
        await api.call("DeleteSegment", pb.DeleteSegmentRequest(id=created.id, if_version=1))

    assert caught.value.reason == Reason.VERSION_MISMATCH
    assert caught.value.metadata == {"version": "2"}
    assert (await api.get(created.id)).name == "Gold"


async def test_a_deleted_segment_is_gone_the_second_time(api):
    created = await api.create()
    await api.delete(created.id)

    with pytest.raises(NotFound):
        await api.delete(created.id)


async def test_the_same_idempotency_key_makes_one_segment(api):
    key = ("key-1", b"fingerprint")

    first, second = await api.create(idempotency=key), await api.create(idempotency=key)

    assert first == second
    assert len((await api.call("ListSegments", pb.ListSegmentsRequest())).segments) == 1


async def test_changes_of_segments_are_told(api, serve_db, account):
    created = await api.create()
    await api.update(created.id, name="Gold")
    await api.delete(created.id)

    for verb, name in (("created", "Premium Customers"), ("updated", "Gold"), ("deleted", "Gold")):
        [row] = await events_of(serve_db, account, f"segment.{verb}")
        segment = events_pb2.SegmentChanged.FromString(row["data"]).segment
        assert (segment.id, segment.name) == (created.id, name)


async def test_segments_page_newest_first(api):
    made = [(await api.create(name=f"{n}")).id for n in range(5)]

    first = await api.call("ListSegments", pb.ListSegmentsRequest(page_size=3))
    rest = await api.call("ListSegments", pb.ListSegmentsRequest(page_size=3, cursor=first.next_cursor))

    assert [segment.id for segment in (*first.segments, *rest.segments)] == made[::-1]
    assert rest.next_cursor == ""


async def test_members_page_by_contact_id(api, account, builder, work_db):
    people = [contact(tags=["premium"]) for _ in range(7)]
    await deliver(Evaluator(work_db), account, "contact.created", changes(*people))
    segment = await api.create()
    await eventually(lambda: api.is_ready(segment.id))

    found = await api.members(segment.id, page_size=3)

    assert [member.contact.id for member in found] == sorted(one.id for one in people)


@pytest.mark.parametrize("cursor", ["nonsense", "aGVsbG8"])
async def test_foreign_cursors_are_refused(api, cursor):
    segment = await api.create()
    for method, request in (
        ("ListSegments", pb.ListSegmentsRequest(cursor=cursor)),
        ("ListMembers", pb.ListMembersRequest(segment_id=segment.id, cursor=cursor)),
        ("ListContactSegments", pb.ListContactSegmentsRequest(contact_id=contact().id, cursor=cursor)),
    ):
        with pytest.raises(InvalidArgument) as caught:
            await api.call(method, request)
        assert caught.value.reason == Reason.INVALID_CURSOR


async def test_an_unknown_contact_is_in_no_segment(api):
    assert await api.segments_of(contact().id) == []
    assert await api.segments_of("cnt_none") == []


async def test_campaigns_may_stream_audiences_and_the_gateway_may_not(api):
    segment = await api.create()
    request = pb.StreamAudienceRequest(segment_id=segment.id)

    stream = api.gateway.stream_out(api.gateway.stub.StreamAudience, request, call=Outgoing(api.account), timeout=5.0)
    with pytest.raises(PermissionDenied):
        [message async for message in stream]
    deleting = pb.DeleteSegmentRequest(id=segment.id)
    with pytest.raises(PermissionDenied):
        await api.campaigns.unary(api.campaigns.stub.DeleteSegment, deleting, call=Outgoing(api.account), timeout=5.0)


async def test_an_audience_of_an_unknown_segment(api):
    with pytest.raises(NotFound):
        [message async for message in api.audience(ids.encode("seg", ids.new()))]


def requests(segment_id: str, contact_id: str) -> dict[str, object]:
    """A request of each RPC about somebody's segment and contact."""
    return {
        "CreateSegment": pb.CreateSegmentRequest(name="Mine", rule_json=PREMIUM),
        "GetSegment": pb.GetSegmentRequest(id=segment_id),
        "UpdateSegment": pb.UpdateSegmentRequest(id=segment_id, name="Taken"),
        "DeleteSegment": pb.DeleteSegmentRequest(id=segment_id),
        "ListSegments": pb.ListSegmentsRequest(),
        "ListMembers": pb.ListMembersRequest(segment_id=segment_id),
        "ListContactSegments": pb.ListContactSegmentsRequest(contact_id=contact_id),
        "StreamAudience": pb.StreamAudienceRequest(segment_id=segment_id),
        "PreviewSegment": pb.PreviewSegmentRequest(rule_json=PREMIUM),
        "ExplainMembership": pb.ExplainMembershipRequest(segment_id=segment_id, contact_id=contact_id),
    }


async def test_no_rpc_shows_or_touches_another_account(api, account, other, builder, work_db):
    ana = contact(tags=["premium"])
    await deliver(Evaluator(work_db), account, "contact.created", changes(ana))
    segment = await api.create()
    await eventually(lambda: api.is_ready(segment.id))
    before = await api.get(segment.id)
    stranger = api.of(other)
    asked = requests(segment.id, ana.id)
    assert set(asked) == {method.name for method in pb.DESCRIPTOR.services_by_name["SegmentsService"].methods}

    for method in ("GetSegment", "UpdateSegment", "DeleteSegment", "ListMembers", "ExplainMembership"):
        with pytest.raises(NotFound):
            await stranger.call(method, asked[method])
    with pytest.raises(NotFound):
        [message async for message in stranger.audience(segment.id)]
    assert list((await stranger.call("ListSegments", asked["ListSegments"])).segments) == []
    assert await stranger.segments_of(ana.id) == []
    assert (await stranger.call("PreviewSegment", asked["PreviewSegment"])).count == 0
    theirs = await stranger.create()
    await eventually(lambda: stranger.is_ready(theirs.id))

    assert await stranger.members(theirs.id) == []
    with pytest.raises(NotFound):
        of_theirs = pb.ExplainMembershipRequest(segment_id=theirs.id, contact_id=ana.id)
        await stranger.call("ExplainMembership", of_theirs)
    after = await api.get(segment.id)
    assert (after.name, after.version, after.member_count) == (before.name, before.version, 1)


async def test_a_query_that_forgets_the_account_sees_nothing(api, serve_db, other):
    await api.create()

    async with serve_db.read(other) as tx:
        assert await tx.fetchval("SELECT count(*) FROM segments") == 0
    async with serve_db.across() as tx:
        assert await tx.fetchval("SELECT count(*) FROM segments") == 0
