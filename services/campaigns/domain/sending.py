"""What a provider's answer means for the message, the sender and the campaign."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.recipient import Reason, Status

MIN_RETRY_AFTER = 0.1
MAX_RETRY_AFTER = 300.0
# A recipient that alone keeps failing must not hold up the rest for ever.
MAX_ATTEMPTS = 20
# Seconds until the next try after the first, second, … round in which nothing went through. When they are used up
# the campaign is paused.
ROUNDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# Seconds until a campaign that was paused so is taken up again by itself, after the first time, the second, … and the
# last for ever after. One micro-batch then decides.
BREAKS = (30.0, 60.0, 120.0, 300.0, 600.0)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message."""

    # Empty where it named none; no receipt can be matched then.
    provider_message_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider answered that it will never take it."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """The provider asks for a pause."""

    retry_after: float


@dataclass(frozen=True, slots=True)
class Unavailable:
    """To be tried again: the provider said that it did not take the message, or no connection could be made."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The request may have arrived; its answer did not."""


@dataclass(frozen=True, slots=True)
class Barred:
    """Not taken, and nothing of this sender will be, whoever it is to, before somebody changes the sender."""

    why: Hold


Answer = Accepted | Refused | Throttled | Unavailable | Unanswered | Barred
# That the provider has decided on the message. For isinstance: a union takes longer to be made than to be asked.
DECIDED = (Accepted, Refused)

# HTTP statuses that are of the credentials or the account, and not of the message.
NOT_THE_MESSAGE = (401, 403)


def classify(
    http_status: int, *, retry_after: float | None = None, keys_honoured: bool = True
) -> Refused | Throttled | Unavailable | Unanswered | Barred:
    """What an answer other than 2xx means.

    Only 503 says that nothing was done: behind any other 5xx the message may have been taken, and without keys it must
    not be repeated.
    """
    if http_status == 429:
        return Throttled(retry_seconds(retry_after))
    if http_status in NOT_THE_MESSAGE:
        return Barred(Hold.CREDENTIALS_REFUSED)
    if http_status >= 500:
        return Unavailable() if keys_honoured or http_status == 503 else Unanswered()
    return Refused()


def retry_seconds(asked: float | None) -> float:
    """A Retry-After within reason; one second where there was none."""
    return 1.0 if asked is None else min(max(asked, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class Keys:
    """What a provider does with idempotency keys."""

    honoured: bool
    # For how long a repetition with the same key is recognised.
    kept: timedelta

    def may_repeat(self, unanswered_since: datetime | None, now: datetime) -> bool:
        """Whether an attempt may be repeated without a second message. None: every attempt was answered."""
        if unanswered_since is None:
            return True
        return self.honoured and now - unanswered_since < self.kept


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an attempt leaves its recipient."""

    status: Status
    reason: str = ""
    provider_message_id: str = ""


def outcome(answer: Answer, *, attempts: int, keys: Keys) -> Outcome:
    """attempts: how many were made, this one included.

    `pending` is tried again; so is `claimed`, with the same key and as long as the keys are kept.
    """
    if isinstance(answer, Accepted):
        return Outcome(Status.SENT, provider_message_id=answer.provider_message_id)
    if isinstance(answer, Refused):
        return Outcome(Status.FAILED, Reason.PROVIDER_REFUSED)
    if isinstance(answer, Throttled | Barred):
        return Outcome(Status.PENDING)
    if isinstance(answer, Unavailable):
        return Outcome(Status.FAILED, Reason.PROVIDER_ERROR) if attempts >= MAX_ATTEMPTS else Outcome(Status.PENDING)
    if keys.honoured and attempts < MAX_ATTEMPTS:
        return Outcome(Status.CLAIMED, Reason.NO_ANSWER)
    return Outcome(Status.UNCERTAIN, Reason.NO_ANSWER)


def round_delay(rounds: int, *, jitter: float) -> float | None:
    """Seconds to wait after so many rounds without success (from 1); None: give up and pause.

    jitter: 0 to 1; spreads the wait over 75 to 125 % of its length.
    """
    if rounds > len(ROUNDS):
        return None
    return ROUNDS[rounds - 1] * (0.75 + 0.5 * jitter)


def break_delay(breaks: int, *, jitter: float) -> float:
    """Seconds until a paused campaign is taken up again, after so many pauses (from 1) with no success between them.

    jitter: as of round_delay.
    """
    return BREAKS[min(breaks, len(BREAKS)) - 1] * (0.75 + 0.5 * jitter)
