"""The ladder that a recipient climbs, and what a receipt moves."""

from enum import StrEnum


class Status(StrEnum):
    # Not attempted, or the provider said that it did not take the message.
    PENDING = "pending"
    # The intent to send is written; the provider's answer is not.
    CLAIMED = "claimed"
    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    # The provider refused the message, or reported that it did not arrive.
    FAILED = "failed"
    # Never attempted, with a reason.
    SKIPPED = "skipped"
    # Attempted, no answer, and not safe to repeat.
    UNCERTAIN = "uncertain"


class Receipt(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a recipient is failed, skipped or uncertain, or somebody of the audience left out."""

    DO_NOT_DISTURB = "do_not_disturb"
    OPTED_OUT = "opted_out"
    SUPPRESSED = "suppressed"
    ADDRESS_GONE = "address_gone"
    INVALID_ADDRESS = "invalid_address"
    NO_ADDRESS = "no_address"
    EXCLUDED = "excluded"
    DUPLICATE = "duplicate"
    CANCELLED = "cancelled"
    TEMPLATE_ERROR = "template_error"
    # Stored with the variable's name behind it: `missing_variable:code`.
    MISSING_VARIABLE = "missing_variable"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_ERROR = "provider_error"
    NO_ANSWER = "no_answer"
    UNDELIVERED = "undelivered"


# A receipt is believed where it says more than what is known. Delivered outranks failed whichever came first, so
# that the end does not depend on the order of arrival.
RANK: dict[Status, int] = {
    Status.UNCERTAIN: 0,
    Status.SENT: 1,
    Status.FAILED: 2,
    Status.DELIVERED: 3,
    Status.OPENED: 4,
    Status.CLICKED: 5,
}


def after_receipt(status: Status, receipt: Receipt) -> Status | None:
    """The state that a receipt leads to; None where it changes nothing.

    A recipient with an attempt under way waits for the answer first; a `pending` or `skipped` one was not sent.
    """
    rank = RANK.get(status)
    told = Status(receipt.value)
    if rank is None or RANK[told] <= rank:
        return None
    return told
