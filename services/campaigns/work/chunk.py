"""Sends one leased chunk of a campaign, micro-batch by micro-batch.

    permits from the budgets → the texts → contacts: who may be messaged? → one statement: the campaign runs, the lease
    is ours, the intent is written → the calls → one transaction: outcomes, stats, events

Killed at any point: before the intent nothing was sent; after it the recipients are `claimed`, and whoever leases the
chunk next repeats them with the same key where the provider honours keys, else they become `uncertain`.
"""

import asyncio
import collections
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import NoneType
from uuid import UUID

import asyncpg
import structlog

from chassis.db import Database, WriteTx
from chassis.errors import CarillonError
from services.campaigns import metrics
from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.hours import Hours
from services.campaigns.domain.recipient import Reason
from services.campaigns.domain.recipient import Status as Recipient
from services.campaigns.domain.sending import (
    DECIDED,
    ROUNDS,
    Answer,
    Outcome,
    Throttled,
    Unanswered,
    Unavailable,
    outcome,
)
from services.campaigns.domain.stats import steps
from services.campaigns.peers import MAX_TARGETS, Contacts
from services.campaigns.providers.port import Outbound, Provider
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import dispatch as queries
from services.campaigns.templating import TemplateError
from services.campaigns.work import message_events
from services.campaigns.work.asleep import Asleep
from services.campaigns.work.budget import Permits
from services.campaigns.work.learning import Learning, Stop
from services.campaigns.work.sending import Sending
from services.campaigns.work.slots import Closed, Slots

log = structlog.get_logger()

# Recipients of a micro-batch: what a check, an intent and the writing of outcomes cost is shared by so many.
BATCH = 100
# Calls of one, where a call takes several messages: no more of them are under way, and so many more share the cost.
CALLS = 10
# A check older than this no longer counts: an opt-out may have come since.
FRESH_SECONDS = 0.75
LONGEST_NAP = 0.25
# Seconds of rendering in one piece.
LONGEST_TURN = 0.02
# Until contacts is asked again after it did not answer.
UNCHECKED_SECONDS = 1.0
OUTCOME_TRIES = 5
# So many recipients that alone keep failing say nothing of the provider.
FEW = 5

# A message, or why there is none.
Draft = Outbound | TemplateError


@dataclass(slots=True)
class Held:
    """A lease, and whether a heartbeat found it to be another's."""

    lease: queries.Lease
    lost: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Chunk:
    def __init__(
        self,
        db: Database,
        contacts: Contacts,
        sending: Sending,
        held: Held,
        *,
        slots: Slots,
        permits: Permits,
        lease_seconds: float,
        recovering: bool,
        hours: Hours,
    ) -> None:
        """slots: bound what of this process is under way at once; a whole micro-batch takes BATCH of them.

        recovering: nothing went through of late. hours: when recipients may be written to.
        """
        self._db = db
        self._contacts = contacts
        self._sending = sending
        self._size = batch_size(sending.provider)
        self._held = held
        self._lease = held.lease
        self._slots = slots
        self._permits = permits
        self._turn = permits.turn(sending.sender_id)
        self._lease_seconds = lease_seconds
        self._learning = Learning(db, held.lease, sending.sender_id, permits, recovering=recovering)
        self._hours = hours
        self._settled = 0
        # Whether somebody's message went through in this pass.
        self._through = False
        # Whether the provider gave a name that another message has.
        self._names_repeat = False
        # What the first micro-batch raised that raised anything.
        self._failure: Exception | None = None

    async def run(self) -> bool:
        """One pass over the chunk; whether it is done. Gives the lease back in any case."""
        wait: float | None = None
        try:
            if not self._hours.ever_open:
                await self._learning.pause(Hold.NEVER_IN_HOURS)
                raise Stop(0.0)
            async with self._db.statement() as tx:
                rows = await queries.open_recipients(tx, self._lease)
            people, asleep = len(rows), Asleep(self._hours)
            await self._send(asleep.leave(await self._give_up_ambiguous(rows)), asleep)
            if asleep.count and asleep.count + self._settled == people:
                raise Stop(asleep.seconds())
        except Stop as stop:
            wait = stop.seconds
        except Closed:
            wait = 0.0
        return await self._release(wait)

    async def _send(self, rows: list[asyncpg.Record], asleep: Asleep) -> None:
        """As many micro-batches at once as there are permits and places for: a provider may take its time to answer.

        Raises what the first of them raised, when none is under way any more.
        """
        async with asyncio.TaskGroup() as group:
            try:
                while rows and self._failure is None:
                    rows = await self._begin(group, rows, asleep)
            except Exception as error:
                # Those under way come to their end all the same.
                self._failure = self._failure or error
        if self._failure is not None:
            raise self._failure

    async def _begin(
        self, group: asyncio.TaskGroup, rows: list[asyncpg.Record], asleep: Asleep
    ) -> list[asyncpg.Record]:
        """One micro-batch; who is left then. Raises Stop, Closed."""
        pauses = self._learning.pauses
        count = await self._draw(len(rows))
        places = math.ceil(count * BATCH / self._size)
        await self._slots.take(self._lease.account, self._lease.campaign, places)
        # Permits and places may have been waited for.
        rows = asleep.leave(rows)
        if not rows or self._failure is not None or self._learning.pauses > pauses:
            self._slots.give(places)
            return rows
        batch = group.create_task(self._work(rows[:count], places))
        if self._learning.recovering:
            # It decides whether there is a next one.
            await asyncio.wait([batch])
        return rows[count:]

    async def _work(self, rows: Sequence[asyncpg.Record], places: int) -> None:
        try:
            await self._batch(rows)
        except Exception as error:
            self._failure = self._failure or error
        finally:
            self._slots.give(places)

    async def _release(self, wait: float | None) -> bool:
        """wait: seconds; None: by how the pass went."""
        idle = 0 if self._settled else self._lease.idle_passes + 1
        if wait is None:
            wait = ROUNDS[min(idle, len(ROUNDS) - 1)] * random.uniform(0.75, 1.25)
        async with self._db.statement() as tx:
            return await queries.release(tx, self._lease, seconds=wait, idle_passes=idle)

    async def _give_up_ambiguous(self, rows: list[asyncpg.Record]) -> list[asyncpg.Record]:
        """Attempts without an answer that may not be repeated become `uncertain`; the rest are returned."""
        now, keys = datetime.now(UTC), self._sending.provider.keys
        given_up = {
            row["id"]: Outcome(Recipient.UNCERTAIN, Reason.NO_ANSWER)
            for row in rows
            if not keys.may_repeat(row["unanswered_since"], now)
        }
        await self._leave_out(given_up)
        return [row for row in rows if row["id"] not in given_up]

    async def _draw(self, wanted: int) -> int:
        """How many may be sent to now, once it is this campaign's turn. Raises Stop, Closed."""
        account, campaign, sender = self._lease.account, self._lease.campaign, self._sending.sender_id
        while True:
            async with self._turn.place(account, campaign):
                while True:
                    if self._held.lost:
                        raise Stop(0.0)
                    draw = await self._permits.draw(account, sender, campaign, min(wanted, self._size))
                    if draw.permits:
                        return draw.permits
                    if draw.wait > self._lease_seconds:
                        raise Stop(draw.wait)
                    if draw.owner != sender:
                        break
                    await asyncio.sleep(min(draw.wait, LONGEST_NAP))
            # Its own rate is used up: meanwhile the sender's other campaigns have their turn.
            await asyncio.sleep(min(draw.wait, LONGEST_NAP))

    async def _batch(self, rows: Sequence[asyncpg.Record]) -> None:
        if self._held.lost:
            raise Stop(0.0)
        drafts = await self._drafts(rows)
        with metrics.BATCH_SECONDS.time():
            checked_at = time.monotonic()
            messages = await self._fit(rows, drafts)
            if not messages:
                return
            async with self._db.statement() as tx:
                attempts = await queries.intend(tx, self._lease, messages, seconds=self._lease_seconds)
            if not attempts:
                raise Stop(0.0)
            by_id = {row["id"]: row for row in rows}
            called = [by_id[one] for one in attempts]
            self._permits.attempted(self._sending.sender_id, len(called))
            answers = await self._call([messages[one] for one in attempts], until=checked_at + FRESH_SECONDS)
            await self._conclude(list(zip(called, answers, strict=True)), attempts)

    async def _drafts(self, rows: Sequence[asyncpg.Record]) -> list[Draft]:
        """The message to each, or why there is none. Before the check: a template may take many times as long as a
        check counts.
        """
        drafts: list[Draft] = []
        began = time.monotonic()
        for row in rows:
            try:
                drafts.append(self._sending.message(row))
            except TemplateError as error:
                drafts.append(error)
            if time.monotonic() - began > LONGEST_TURN:
                # The heartbeat of the leases has its turn.
                await asyncio.sleep(0)
                began = time.monotonic()
        return drafts

    async def _call(self, messages: Sequence[Outbound], *, until: float) -> list[Answer | None]:
        """until: by the monotonic clock, when the check no longer counts. None: not called any more."""
        provider = self._sending.provider

        async def call(part: Sequence[Outbound]) -> Sequence[Answer | None]:
            # Looked at by each: a process may be stopped at any instant, and continued.
            if time.monotonic() > until:
                return [None] * len(part)
            with self._sending.seconds.time():
                return await provider.send_many(part) if len(part) > 1 else [await provider.send(part[0])]

        size = provider.max_batch
        parts = [messages[at : at + size] for at in range(0, len(messages), size)]
        return [answer for answers in await asyncio.gather(*map(call, parts)) for answer in answers]

    async def _fit(self, rows: Sequence[asyncpg.Record], drafts: Sequence[Draft]) -> dict[UUID, Outbound]:
        """The messages to those that contacts lets be messaged now. Raises Stop where it does not answer."""
        try:
            refusals = await self._contacts.refusals(
                self._sending.account, self._sending.channel, [(row["contact_id"], row["address"]) for row in rows]
            )
        except CarillonError as error:
            log.warning("dispatch.unchecked", reason=error.reason)
            raise Stop(UNCHECKED_SECONDS) from error
        messages: dict[UUID, Outbound] = {}
        left: dict[UUID, Outcome] = {}
        for row, refusal, draft in zip(rows, refusals, drafts, strict=True):
            if refusal:
                left[row["id"]] = not_called(row, refusal)
            elif isinstance(draft, TemplateError):
                left[row["id"]] = not_called(row, draft.reason)
            else:
                messages[row["id"]] = draft
        await self._leave_out(left)
        return messages

    async def _leave_out(self, outcomes: dict[UUID, Outcome]) -> None:
        if not outcomes:
            return
        async with self._db.across() as tx:
            statuses = await queries.leave_out(tx, self._lease, outcomes)
            delta = steps(Recipient.PENDING, statuses)
            await campaign_queries.add_stats(tx, self._lease.account, self._lease.campaign, delta=delta)
        self._settled += len(statuses)
        for one in outcomes.values():
            # Not the name of a variable that is missing.
            metrics.LEFT_OUT.labels(one.reason.partition(":")[0]).inc()

    async def _conclude(self, called: list[tuple[asyncpg.Record, Answer | None]], attempts: dict[UUID, int]) -> None:
        """Write what became of the calls; None was not made after all."""
        self._through = self._through or any(isinstance(answer, DECIDED) for _, answer in called)
        for kind, times in collections.Counter(type(answer) for _, answer in called).items():
            metrics.ATTEMPTS.labels("none" if kind is NoneType else kind.__name__.lower()).inc(times)
        settled = []
        for row, answer in called:
            end = self._outcome(row, answer, attempts[row["id"]])
            # Still `claimed`: on record already, and repeated with the same key in a later pass.
            if end.status is not Recipient.CLAIMED:
                made = answer is not None and not isinstance(answer, Throttled)
                settled.append(queries.Settled(row["id"], end, answered=is_answered(row, answer), counts=made))
        rows = {row["id"]: row for row, _ in called}
        done = await self._write(settled, rows, Recipient.CLAIMED)
        if len(done) < len(settled):
            late = [one for one in settled if one.id not in done]
            await self._write(late, rows, Recipient.UNCERTAIN)
        lonely = len(called) <= FEW and all(failed_alone(row) for row, _ in called)
        await self._learning.learn([answer for _, answer in called if answer is not None], lonely=lonely)

    def _outcome(self, row: asyncpg.Record, answer: Answer | None, attempts: int) -> Outcome:
        end = Outcome(Recipient.PENDING)
        if answer is not None:
            end = outcome(answer, attempts=attempts, keys=self._sending.provider.keys)
        if end.status is not Recipient.PENDING:
            return end
        # Kept on the recipient until it is settled: it failed while others went through.
        alone = failed_alone(row) or (self._through and isinstance(answer, Unavailable))
        return Outcome(Recipient.PENDING, Reason.PROVIDER_ERROR if alone else "")

    async def _write(
        self, settled: list[queries.Settled], rows: dict[UUID, asyncpg.Record], before: Recipient
    ) -> set[UUID]:
        """Of recipients that are in the state `before`; who they were. Tried again on any failure: what is lost here is
        asked of the provider once more.
        """
        for left in reversed(range(OUTCOME_TRIES if settled else 0)):
            known = self._names_repeat
            try:
                async with self._db.across() as tx:
                    done = await self._settle(tx, settled, rows, before)
            except asyncpg.UniqueViolationError:
                if known or left == 0:
                    raise
                self._names_repeat = True
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("dispatch.outcome_not_written", error=type(error).__name__, tries_left=left)
                if left == 0:
                    raise
                await asyncio.sleep(random.uniform(0.05, 0.3))
            else:
                self._settled += sum(1 for row in done if row["status"] != Recipient.PENDING)
                return {row["id"] for row in done}
        return set()

    async def _settle(
        self, tx: WriteTx, settled: list[queries.Settled], rows: dict[UUID, asyncpg.Record], before: Recipient
    ) -> list[asyncpg.Record]:
        lease, sender_id = self._lease, self._sending.sender_id
        if before is Recipient.CLAIMED:
            done = await queries.settle(tx, lease, sender_id, settled, taken=self._names_repeat)
        else:
            done = await queries.settle_late(tx, lease, sender_id, settled)
        tx.add_events(message_events.of_outcomes(self._sending, rows, {one.id: one for one in settled}, done))
        # The last lock of the transaction, see add_stats.
        delta = steps(before, (row["status"] for row in done))
        await campaign_queries.add_stats(tx, lease.account, lease.campaign, delta=delta)
        return done


def batch_size(provider: Provider) -> int:
    """How many recipients a micro-batch has, where there are so many."""
    return max(BATCH, min(CALLS * provider.max_batch, MAX_TARGETS))


def not_called(row: asyncpg.Record, reason: str) -> Outcome:
    """Somebody who was attempted before, with no answer, may have the message already: not `skipped`."""
    status = Recipient.SKIPPED if row["unanswered_since"] is None else Recipient.UNCERTAIN
    return Outcome(status, reason)


def failed_alone(row: asyncpg.Record) -> bool:
    """Whether it failed before while others went through."""
    return bool(row["status"] == Recipient.PENDING and row["reason"] == Reason.PROVIDER_ERROR)


def is_answered(row: asyncpg.Record, answer: Answer | None) -> bool:
    """Whether no attempt is open any more. A refusal to take this one says nothing of an earlier one."""
    if isinstance(answer, Unanswered):
        return False
    return isinstance(answer, DECIDED) or row["unanswered_since"] is None
