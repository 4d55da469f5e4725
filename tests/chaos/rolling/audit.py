"""Whether every event that must have been told was, to everybody who listens. Pure, so that tests can break it."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from deploy.local.demo.verdict import Check, equal, none


def events(
    told: Sequence[Mapping[str, Any]],
    *,
    versions: Mapping[str, Set[int]],
    deleted: Set[str],
    imported: int,
    followed: Sequence[int],
    received: Sequence[str],
    heard: Sequence[str],
    anything: Sequence[str],
) -> list[Check]:
    """told: the feed, in its order. versions: of contacts, as answers showed them. imported: rows that imports made.

    followed: positions, as a follower of the feed saw them; received: ids at a webhook; heard: ids on the broker;
    anything: ids in the feed, those before the run included.
    """
    snapshots = [change["contact"] for event in told for change in event["data"].get("changes", ())]
    known = {(contact["id"], contact["version"]) for contact in snapshots if "version" in contact}
    acknowledged = {(name, version) for name, seen in versions.items() for version in seen}
    gone = {deletion["id"] for event in told for deletion in event["data"].get("deletions", ())}
    made = {
        change["contact"]["id"]
        for event in told
        if event["type"] == "contact.created"
        for change in event["data"]["changes"]
    }
    ids = {event["id"] for event in told}
    positions = [event["position"] for event in told]
    return [
        none(
            "changes that were answered and not told", [f"{name} {version}" for name, version in acknowledged - known]
        ),
        none("deletions that were answered and not told", sorted(deleted - gone)),
        equal("contacts made by imports and told", len(made - versions.keys()), imported),
        equal("the follower saw the feed, once each and in order", list(followed) == positions, True),
        none("events that the webhook has not had", sorted(ids - set(received))),
        none("events in the feed that were not on the broker", sorted(ids - set(heard))),
        none("events on the broker that are not in the feed", sorted(set(heard) - set(anything))),
    ]
