"""What an audience made of everybody whom it named, counted. Each is in one count: matched is their sum."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from services.campaigns.domain.recipient import Reason


@dataclass(frozen=True, slots=True)
class Funnel:
    """In the order of the checks."""

    excluded: int = 0
    no_address: int = 0
    invalid: int = 0
    opted_out: int = 0
    do_not_contact: int = 0
    duplicate: int = 0
    final: int = 0

    @property
    def matched(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))

    def scaled(self, matched: int) -> "Funnel":
        """The same proportions of another number of people."""
        if self.matched == 0:
            return self
        share = matched / self.matched
        less = {field.name: round(getattr(self, field.name) * share) for field in fields(self) if field.name != "final"}
        return replace(Funnel(**less), final=max(0, matched - sum(less.values())))


# By the reason for which somebody is left out.
COUNTED_AS: Mapping[str, str] = {
    Reason.EXCLUDED: "excluded",
    Reason.NO_ADDRESS: "no_address",
    # The contact was deleted, or lost its address, while the audience was written.
    Reason.ADDRESS_GONE: "no_address",
    Reason.INVALID_ADDRESS: "invalid",
    Reason.OPTED_OUT: "opted_out",
    Reason.DO_NOT_DISTURB: "do_not_contact",
    Reason.SUPPRESSED: "do_not_contact",
    Reason.DUPLICATE: "duplicate",
}


def funnel(left_out: Mapping[str, int], *, final: int) -> Funnel:
    """left_out: numbers by reason."""
    counts: Counter[str] = Counter()
    for reason, number in left_out.items():
        counts[COUNTED_AS[reason]] += number
    return Funnel(**counts, final=final)
