"""Sending windows and quiet hours, by the clock of whom a message is for."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import errors
from chassis.ids import AccountId
from services.campaigns.work.asleep import Asleep
from services.campaigns.work.chunk import BATCH
from tests.service.campaigns.workers import Gate
from tests.service.campaigns.world import World, member, phone
from tests.service.stack import eventually

# Half the world apart, so that it is never the same day's hour in both.
FAR, NEAR = "Pacific/Auckland", "Europe/London"
EVERY_DAY = [day for day in pb.Weekday.values() if day]


def minute_in(zone: str) -> int:
    now = datetime.now(ZoneInfo(zone))
    return now.hour * 60 + now.minute


def around(zone: str) -> list[pb.SendingWindow]:
    """Windows of every day from two hours ago until in two hours, by the clock there."""
    start, end = minute_in(zone) - 120, minute_in(zone) + 120
    spans = [(max(start, 0), min(end, 1440))]
    spans += [(start + 1440, 1440)] if start < 0 else []
    spans += [(0, end - 1440)] if end > 1440 else []
    return [pb.SendingWindow(days=EVERY_DAY, start_minute=a, end_minute=b) for a, b in spans]


async def quiet(world: World, account: AccountId, **fields: Any) -> pb.QuietHours:
    given = pb.QuietHours(**fields) if fields else None
    answer = await world.call(account, "SetQuietHours", pb.SetQuietHoursRequest(quiet_hours=given))
    found: pb.QuietHours = answer.quiet_hours
    return found


async def test_everybody_is_written_to_in_the_window_of_their_own_clock(world: World, account: AccountId) -> None:
    people = [member(number, timezone=FAR if number % 2 else NEAR) for number in range(20)]
    windows = pb.SendingWindows(windows=around(NEAR))
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people), sending_windows=windows)
    assert campaign.sending_windows == windows
    await world.start(account, campaign)
    async with world.working():
        found = await world.until(account, campaign, lambda seen: seen.stats.sent == 10)
        assert (found.status, found.stats.pending) == (pb.CAMPAIGN_STATUS_RUNNING, 10)
        (chunk,) = await world.admin("SELECT due_at, done FROM chunks WHERE account_id = $1", account)
        # The rest waits, without being looked at over and over.
        assert not chunk["done"]
        assert sorted(world.provider.addresses) == sorted(phone(number) for number in range(0, 20, 2))
        # It becomes the hour.
        zones = "UPDATE recipients SET timezone = $2 WHERE account_id = $1"
        await world.admin(zones, account, NEAR)
        await world.admin("UPDATE chunks SET due_at = 'epoch' WHERE account_id = $1", account)
        world.woken.set()
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.requests) == 20


async def test_who_sleeps_is_left_for_as_long_as_they_do(world: World, account: AccountId) -> None:
    start = (minute_in("UTC") + 5) % 1440
    windows = pb.SendingWindows(
        timezone="UTC", windows=[pb.SendingWindow(days=EVERY_DAY, start_minute=start, end_minute=start + 1)]
    )
    people = [member(1, timezone="UTC")]
    campaign = await world.campaign(account, segment_id=world.segments.add(account, people), sending_windows=windows)
    await world.start(account, campaign)
    assert await world.freezer().step()
    dispatched = datetime.now(UTC)
    async with world.working():

        async def deferred() -> bool:
            (row,) = await world.admin("SELECT due_at FROM chunks WHERE account_id = $1", account)
            return bool(row["due_at"] > dispatched + timedelta(seconds=60))

        await eventually(deferred)
    (chunk,) = await world.admin("SELECT due_at FROM chunks WHERE account_id = $1", account)
    opening = dispatched.replace(second=0, microsecond=0) + timedelta(minutes=5)
    assert abs(chunk["due_at"] - opening) <= timedelta(seconds=61)
    assert world.provider.requests == []


async def test_quiet_hours_hold_every_campaign_of_the_account_and_no_other(
    world: World, account: AccountId, other: AccountId
) -> None:
    now = minute_in("UTC")
    await quiet(world, account, start_minute=(now - 60) % 1440, end_minute=(now + 60) % 1440)
    campaigns = {}
    for one in (account, other):
        people = [member(1, timezone="UTC")]
        campaigns[one] = await world.campaign(one, segment_id=world.segments.add(one, people))
        await world.start(one, campaigns[one])
    async with world.working():
        await world.until_status(other, campaigns[other], pb.CAMPAIGN_STATUS_COMPLETED)
        await world.until(account, campaigns[account], lambda seen: seen.stats.pending == 1 and not seen.freezing)
        assert len(world.provider.requests) == 1
        # They are lifted, and it is looked at again at once.
        await quiet(world, account)
        world.woken.set()
        await world.until_status(account, campaigns[account], pb.CAMPAIGN_STATUS_COMPLETED)
    assert len(world.provider.requests) == 2


async def test_the_hour_that_counts_is_that_of_the_turn(
    world: World, account: AccountId, other: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Awake when its chunk was read, and asleep when another's messages had left it a place."""
    late, looks, leave = timedelta(), 0, Asleep.leave

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + late

    def look(self: Asleep, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        nonlocal looks
        looks += 1
        return leave(self, rows)

    async def waits_for_its_turn() -> bool:
        return looks == 3

    async def put_off() -> bool:
        rows = await world.admin("SELECT 1 FROM chunks WHERE account_id = $1 AND due_at > now()", account)
        return bool(rows)

    monkeypatch.setattr("services.campaigns.work.asleep.datetime", Clock)
    monkeypatch.setattr(Asleep, "leave", look)
    now = minute_in("UTC")
    await quiet(world, account, start_minute=(now + 60) % 1440, end_minute=(now + 180) % 1440)
    gate = Gate(1)
    world.provider.before = gate.hold_before
    campaigns = {one: await world.campaign(one) for one in (other, account)}
    # A whole micro-batch of the other's has all the places.
    for one, count in ((other, BATCH), (account, 1)):
        rows = "".join(f"{phone(number)},UTC\n" for number in range(count))
        await world.upload(one, campaigns[one], f"phone,timezone\n{rows}")
    async with world.working(batches=1):
        await world.start(other, campaigns[other])
        await eventually(gate.someone)
        await world.start(account, campaigns[account])
        await eventually(waits_for_its_turn)
        late = timedelta(hours=2)
        gate.opened.set()
        await world.until_status(other, campaigns[other], pb.CAMPAIGN_STATUS_COMPLETED)
        await eventually(put_off)
    assert len(world.provider.requests) == BATCH


async def test_windows_that_lie_in_the_quiet_hours_pause_the_campaign(world: World, account: AccountId) -> None:
    await quiet(world, account, start_minute=21 * 60, end_minute=8 * 60)
    window = pb.SendingWindow(days=[pb.WEEKDAY_MONDAY], start_minute=22 * 60, end_minute=24 * 60)
    campaign = await world.ready(account, 2, sending_windows=pb.SendingWindows(windows=[window]))
    await world.start(account, campaign)
    async with world.working():
        paused = await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_PAUSED)
    assert (paused.status_reason, world.provider.requests) == ("never_in_hours", [])


async def test_zones_are_known_from_the_file_the_contact_or_the_phone(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    await world.upload(account, campaign, "phone,timezone\n+14155550100,Asia/Tokyo\n+14155550101,nowhere\n")
    named = await world.campaign(
        account, segment_id=world.segments.add(account, [member(1, phone="+4915112345678"), member(2, timezone=FAR)])
    )
    await world.start(account, named)
    assert await world.freezer().step()
    rows = await world.admin("SELECT address, timezone FROM recipients WHERE account_id = $1", account)
    assert {row["address"]: row["timezone"] for row in rows} == {
        "+14155550100": "Asia/Tokyo",
        "+14155550101": "America/Los_Angeles",
        "+4915112345678": "Europe/Berlin",
        phone(2): FAR,
    }


async def test_windows_and_quiet_hours_are_changed_and_removed(
    world: World, account: AccountId, other: AccountId
) -> None:
    windows = pb.SendingWindows(
        timezone=NEAR, windows=[pb.SendingWindow(days=[pb.WEEKDAY_MONDAY], start_minute=0, end_minute=1440)]
    )
    draft = await world.campaign(account)
    changed = await world.call(
        account, "UpdateCampaign", pb.UpdateCampaignRequest(id=draft.id, sending_windows=windows)
    )
    assert changed.campaign.sending_windows == windows
    named = await world.call(account, "UpdateCampaign", pb.UpdateCampaignRequest(id=draft.id, name="y"))
    assert named.campaign.sending_windows == windows
    cleared = pb.UpdateCampaignRequest(id=draft.id, clear=["sending_windows"])
    assert not (await world.call(account, "UpdateCampaign", cleared)).campaign.HasField("sending_windows")
    given: dict[str, Any] = {"start_minute": 1260, "end_minute": 480, "timezone": NEAR}
    assert await quiet(world, account, **given) == pb.QuietHours(**given)
    for one, expected in ((account, True), (other, False)):
        found = await world.call(one, "GetQuietHours", pb.GetQuietHoursRequest())
        assert found.HasField("quiet_hours") is expected
    await quiet(world, account)
    assert not (await world.call(account, "GetQuietHours", pb.GetQuietHoursRequest())).HasField("quiet_hours")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"windows": []}, "/sending_windows/windows"),
        ({"windows": [{"days": [1], "start_minute": 0, "end_minute": 60}] * 21}, "/sending_windows/windows"),
        ({"windows": [{"start_minute": 0, "end_minute": 60}]}, "/sending_windows/windows/0/days"),
        ({"windows": [{"days": [0], "start_minute": 0, "end_minute": 60}]}, "/sending_windows/windows/0/days"),
        ({"windows": [{"days": [1], "start_minute": 60, "end_minute": 60}]}, "/sending_windows/windows/0/end"),
        ({"windows": [{"days": [1], "start_minute": 0, "end_minute": 1441}]}, "/sending_windows/windows/0/end"),
        (
            {"timezone": "Mars", "windows": [{"days": [1], "start_minute": 0, "end_minute": 60}]},
            "/sending_windows/timezone",
        ),
    ],
)
async def test_bad_windows_point_at_their_field(
    world: World, account: AccountId, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await world.campaign(account, sending_windows=pb.SendingWindows(**fields))
    assert [violation.pointer for violation in caught.value.violations] == [pointer]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"start_minute": 60, "end_minute": 60}, "/end"),
        ({"start_minute": -1, "end_minute": 60}, "/start"),
        ({"start_minute": 0, "end_minute": 1440}, "/end"),
        ({"start_minute": 0, "end_minute": 60, "timezone": "../UTC"}, "/timezone"),
    ],
)
async def test_bad_quiet_hours_point_at_their_field(
    world: World, account: AccountId, fields: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(errors.InvalidArgument) as caught:
        await quiet(world, account, **fields)
    assert [violation.pointer for violation in caught.value.violations] == [pointer]
