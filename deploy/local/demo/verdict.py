"""The campaign's figures held against the carrier's log and the generator's own expectation."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.demo.carrier_log import Accepted, Receipt, more_than_once, outcomes


@dataclass(frozen=True, slots=True)
class Check:
    """A sentence that ought to be true, what was found, and whether it is."""

    claim: str
    found: str
    holds: bool


def equal(claim: str, ours: object, theirs: object) -> Check:
    sign = "=" if ours == theirs else "≠"
    return Check(claim, f"{_short(ours)} {sign} {_short(theirs)}", ours == theirs)


def checks(
    stats: Mapping[str, int], accepted: list[Accepted], receipts: list[Receipt], *, expected: Mapping[str, str]
) -> list[Check]:
    """expected: phone → the code that its message must carry, of everybody who should have got one."""
    messages = [line for line in accepted if not line.duplicate]
    texts = {message.to: message.text for message in messages}
    ended = outcomes(messages, receipts)
    wrong_text = [phone for phone, text in texts.items() if expected.get(phone, "") not in text]
    return [
        none("no key was accepted as a second message", more_than_once(line.key for line in messages)),
        none("nobody got two messages", more_than_once(line.to for line in messages)),
        none("nobody was forgotten", sorted(expected.keys() - texts.keys())),
        none("nobody else got one (opted out, suppressed, not premium)", sorted(texts.keys() - expected.keys())),
        none("every text carries its recipient's own code", wrong_text),
        equal("stats.sent = keys in the carrier's log", stats["sent"], len({line.key for line in accepted})),
        equal("stats.delivered = the carrier's receipts", stats["delivered"], ended["delivered"]),
        equal("stats.failed = the carrier's receipts", stats["failed"], ended["failed"]),
        equal(
            "total = sent + pending + skipped + uncertain",
            stats["total"],
            stats["sent"] + stats["pending"] + stats["skipped"] + stats["uncertain"],
        ),
        equal("nothing is pending or uncertain", stats["pending"] + stats["uncertain"], 0),
    ]


def none(claim: str, culprits: list[str]) -> Check:
    """Culprits are counted, not shown: they are phones, and a terminal's scrollback is a log too."""
    return Check(claim, "none" if not culprits else f"{len(culprits):,} of them", not culprits)


def _short(value: object) -> str:
    if isinstance(value, set):
        return f"{len(value):,} of them"
    return f"{value:,}" if isinstance(value, int) else str(value)
