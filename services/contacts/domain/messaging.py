"""Whether an address may be messaged now."""

from dataclasses import dataclass
from typing import Literal

from formats import phones
from services.contacts.domain import emails

Refusal = Literal["do_not_disturb", "opted_out", "suppressed", "address_gone", "invalid_address"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is on record about one target."""

    # A contact was named by id / the named contact exists and still has the address.
    named: bool
    has_address: bool
    # Of the named contact, or of any contact that has the address.
    do_not_disturb: bool
    opted_out: bool
    opted_in: bool
    # By the account's rules.
    opt_in_required: bool
    suppressed: bool


def refusal(standing: Standing | None, address: str, *, by_email: bool) -> Refusal | None:
    """The reason that weighs most, or None where the target may be messaged.

    standing: None where nothing is on record that could keep it from being messaged. address: folded.
    """
    if standing is not None:
        if standing.named and not standing.has_address:
            return "address_gone"
        if standing.do_not_disturb:
            return "do_not_disturb"
        if standing.opted_out or (standing.opt_in_required and not standing.opted_in):
            return "opted_out"
        if standing.suppressed:
            return "suppressed"
    usable = "@" in address if by_email else phones.is_e164(address)
    return None if usable else "invalid_address"


def fold(address: str, *, by_email: bool) -> str:
    """The address as it is compared with those on record; empty where it can be none."""
    if "\0" in address:
        return ""
    return emails.fold(address.strip()) if by_email else address.strip()
