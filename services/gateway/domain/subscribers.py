"""Subscribers over NATS: what each may do, and how the server's configuration says so.

A subscriber has a NATS account of its own, into which the account of the services exports two subjects: asking for the
next messages of one consumer, and acknowledging them. A mere user of the services' account, whatever it may publish,
would not do: it names where the answer to such a request is sent, and the server sends it there as itself, so that
`$JS.API.STREAM.DELETE.EVENTS` as the answer's place deletes the stream. Across accounts answers go to who asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.gateway.domain import event_types

# The NATS account of the services.
SERVICES = "CARILLON"
STREAM = "EVENTS"
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """name: 1 to 31 of a-z, 0-9 and -. account: whose events, `acct_…`. types: none is all. Raises ValueError."""

    name: str
    account: str
    types: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError("a subscriber's name is a letter and up to 30 of a-z, 0-9 and -")
        unknown = event_types.unknown(self.types)
        if unknown:
            raise ValueError(f"unknown types of event: {', '.join(unknown)}")

    @property
    def durable(self) -> str:
        """Of the account too: a name that two accounts use is two consumers."""
        return f"sub-{self.name}-{self.account.removeprefix('acct_')}"

    @property
    def user(self) -> str:
        return self.durable

    @property
    def nats_account(self) -> str:
        return self.durable.replace("-", "_").upper()

    @property
    def inbox_prefix(self) -> str:
        return f"_INBOX_{self.durable}"

    @property
    def filters(self) -> list[str]:
        """The subjects of its events, in both lanes."""
        patterns = dict.fromkeys(self.types or ["*.*"])
        live = [f"events.{pattern}.{self.account}" for pattern in covered(patterns)]
        return [*live, *(f"{subject}.bulk" for subject in live)]

    @property
    def publishes(self) -> list[str]:
        return [f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self.durable}", f"$JS.ACK.{STREAM}.{self.durable}.>"]

    def exports(self) -> list[dict[str, Any]]:
        """For the services' account."""
        fetch, acknowledge = self.publishes
        return [
            {"service": fetch, "response": "stream", "accounts": [self.nats_account]},
            {"service": acknowledge, "accounts": [self.nats_account]},
        ]

    def nats_configuration(self, password: str) -> dict[str, Any]:
        """The subscriber's account, by its name."""
        permissions = {"publish": self.publishes, "subscribe": [f"{self.inbox_prefix}.>"]}
        imports = [{"service": {"account": SERVICES, "subject": subject}} for subject in self.publishes]
        return {
            self.nats_account: {
                "users": [{"user": self.user, "password": password, "permissions": permissions}],
                "imports": imports,
            }
        }


def covered(patterns: Sequence[str] | dict[str, None]) -> list[str]:
    """Without what another one covers: the filters of a consumer may not overlap."""
    return [one for one in patterns if one.endswith(".*") or f"{one.partition('.')[0]}.*" not in patterns]
