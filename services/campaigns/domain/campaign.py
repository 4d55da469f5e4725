"""The life of a campaign: five states and the verbs that lead from one to another."""

from datetime import datetime, timedelta
from enum import StrEnum

# A schedule found later than this is held for a person to decide about, unless the campaign says otherwise.
LATEST_START = timedelta(hours=1)


class Status(StrEnum):
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Verb(StrEnum):
    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    # Nobody is left to send to; said by the dispatcher only.
    COMPLETE = "complete"
    # What leaves the state as it is.
    UPDATE = "update"
    UPLOAD = "upload"
    DELETE = "delete"
    ESTIMATE = "estimate"
    CLONE = "clone"
    TEST = "test"


TRANSITIONS: dict[tuple[Status, Verb], Status] = {
    (Status.DRAFT, Verb.START): Status.RUNNING,
    (Status.DRAFT, Verb.CANCEL): Status.CANCELLED,
    (Status.DRAFT, Verb.UPDATE): Status.DRAFT,
    (Status.DRAFT, Verb.UPLOAD): Status.DRAFT,
    (Status.DRAFT, Verb.DELETE): Status.DRAFT,
    (Status.DRAFT, Verb.ESTIMATE): Status.DRAFT,
    (Status.RUNNING, Verb.PAUSE): Status.PAUSED,
    (Status.RUNNING, Verb.CANCEL): Status.CANCELLED,
    (Status.RUNNING, Verb.COMPLETE): Status.COMPLETED,
    # `start` on a paused campaign resumes it: callers of seed 001 know no other verb.
    (Status.PAUSED, Verb.START): Status.RUNNING,
    (Status.PAUSED, Verb.RESUME): Status.RUNNING,
    (Status.PAUSED, Verb.CANCEL): Status.CANCELLED,
    (Status.DRAFT, Verb.TEST): Status.DRAFT,
    (Status.RUNNING, Verb.TEST): Status.RUNNING,
    (Status.PAUSED, Verb.TEST): Status.PAUSED,
    **{(status, Verb.CLONE): status for status in Status},
    (Status.COMPLETED, Verb.DELETE): Status.COMPLETED,
    (Status.CANCELLED, Verb.DELETE): Status.CANCELLED,
}


class InvalidState(Exception):
    """The verb does not fit the state."""

    def __init__(self, status: Status, verb: Verb) -> None:
        super().__init__(f"{verb} does not fit a campaign that is {status}")
        self.status = status
        self.verb = verb


def after(status: Status, verb: Verb, *, reason: str = "") -> Status:
    """The state that the verb leads to. reason: the campaign's status_reason. Raises InvalidState."""
    found = TRANSITIONS.get((status, verb))
    if (status, verb, reason) == (Status.PAUSED, Verb.PAUSE, Hold.PROVIDER_UNAVAILABLE):
        # It would be taken up again by itself; now a person has paused it.
        found = Status.PAUSED
    if found is None:
        raise InvalidState(status, verb)
    return found


class Hold(StrEnum):
    """Why a campaign is in its state where no caller put it there; `status_reason` of the API."""

    # A due draft that nobody can be sent to.
    AUDIENCE_MISSING = "audience_missing"
    # A due draft that was found too late.
    SCHEDULE_MISSED = "schedule_missed"
    # The provider kept failing; paused, and taken up again by itself after a while.
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    # The provider does not know the sender by its secrets; paused.
    CREDENTIALS_REFUSED = "credentials_refused"
    # The sender's provider is at an address where none may be; paused.
    ADDRESS_REFUSED = "address_refused"
    # The segment, or one that is excluded, was deleted before the audience was frozen; paused.
    SEGMENT_NOT_FOUND = "segment_not_found"
    # The list was deleted before the audience was frozen; paused.
    LIST_NOT_FOUND = "list_not_found"
    # The sending windows lie within the account's quiet hours; paused.
    NEVER_IN_HOURS = "never_in_hours"
    # The segment could not be built; paused.
    SEGMENT_FAILED = "segment_failed"
    # The database was restored to an earlier moment, after which it may have been sent: a draft that is due; paused; or
    # cancelled, where its audience was being frozen.
    RESTORED = "restored"


def hold_when_due(
    now: datetime, schedule_at: datetime, *, has_audience: bool, max_late: timedelta = LATEST_START
) -> Hold | None:
    """Why a due draft must not start by itself, or None: it starts."""
    if now - schedule_at > max_late:
        return Hold.SCHEDULE_MISSED
    if not has_audience:
        return Hold.AUDIENCE_MISSING
    return None
