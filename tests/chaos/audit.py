"""What must be true when everything has come to rest, whatever was killed. Pure, so that tests can break it."""

from collections.abc import Mapping, Set

from deploy.local.demo.carrier_log import Witness
from deploy.local.demo.verdict import Check, checks, equal, none


def sending(campaign: Mapping[str, object], witness: Witness, *, expected: Mapping[str, str]) -> list[Check]:
    """The campaign against the carrier's log. expected: phone → code of everybody in the frozen audience."""
    stats = campaign["stats"]
    if not isinstance(stats, dict):
        raise TypeError("a campaign without stats")
    return [
        equal("the campaign completed", campaign["status"], "completed"),
        *checks(stats, witness.accepted, witness.receipts, expected=expected),
    ]


def membership(members: list[str], by_rule: Set[str], *, count: int) -> list[Check]:
    """The segment's members against the contacts database; ids. count: what the segment says of itself."""
    return [
        none("members that the rule does not match", sorted(set(members) - by_rule)),
        none("contacts that the rule matches and the segment lacks", sorted(by_rule - set(members))),
        equal("the segment's member_count", count, len(members)),
    ]


def acknowledged(
    premium: Mapping[str, bool], deleted: Set[str], *, by_rule: Set[str], existing: Set[str]
) -> list[Check]:
    """Nothing that was answered with success may be gone."""
    lost = [contact_id for contact_id, on in premium.items() if on is not (contact_id in by_rule)]
    return [
        none("acknowledged changes that were lost", sorted(lost)),
        none("deleted contacts that are back", sorted(deleted & existing)),
    ]
