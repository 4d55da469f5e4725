"""Bodies of contacts: those of the benchmarks, with what the differential tests put into contacts mixed in."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.bench import segment_load
from tests.chaos.segments.dice import Dice

Body = dict[str, Any]
# Given out by hand and in bulk, and asked for by rules: so that they meet.
HOT_TAGS = [f"tag-{number}" for number in range(20)]
CHANNELS = ("sms", "whatsapp", "email", "rcs", "viber", "voice")
PREFERENCES = ("opted_in", "opted_out", "opted_out", "unknown")
# Written as they come; nothing of them is checked.
FREE_TEXTS = (
    "first_name", "last_name", "stage", "gender", "language", "timezone", "instagram_id", "channel", "custom_channel",
    "chat_widget_id", "current_campaign",
)  # fmt: skip
FLAGS = ("is_bot_active", "do_not_disturb", "is_chat_window_open")
# Around now: so that rules which look some minutes back and ahead flip while the run goes on.
NEAR_SECONDS = 240


class People:
    def __init__(self, rng: Random, worlds: Sequence[Dice]) -> None:
        self._rng = rng
        self._worlds = worlds

    def key(self) -> Body:
        """What a new contact is known by; mostly a phone."""
        number = self._rng.randrange(10**9)
        kind = self._rng.random()
        if kind < 0.85:
            return {"phone": f"+4915{number:09}"}
        return {"email": f"Only.{number}@Example{number % 100}.com"} if kind < 0.95 else {"external_id": f"x-{number}"}

    def whole(self) -> Body:
        """All but the key."""
        made = segment_load.contact(self._rng)
        body: Body = {name: getattr(made, name) for name in ("first_name", "last_name", "country", "stage")}
        body["metadata"] = json.loads(made.metadata_json) | self._custom()
        body["tags"] = [*made.tags[:2], self._rng.choice(HOT_TAGS)]
        return body | (self.patch() if self._rng.random() < 0.5 else {})

    def patch(self) -> Body:
        """One to three fields, one of them in four cleared."""
        body: Body = {}
        for _ in range(self._rng.randint(1, 3)):
            body |= self._rng.choice([self._text, self._text, self._data, self._data, self._tags, self._flag])()
        return body

    def preferences(self) -> Body:
        channels = self._rng.sample(CHANNELS, self._rng.randint(1, 2))
        return {"preferences": {channel: self._rng.choice(PREFERENCES) for channel in channels}}

    def near(self) -> str:
        """A time some minutes from now, one way or the other, as metadata has it."""
        at = datetime.now(UTC) + timedelta(seconds=self._rng.randint(-NEAR_SECONDS, NEAR_SECONDS))
        return at.isoformat(timespec="seconds")

    def _world(self) -> Dice:
        return self._rng.choice(self._worlds)

    def _text(self) -> Body:
        name = self._rng.choice(FREE_TEXTS)
        if self._rng.random() < 0.25:
            return {name: None}
        return {name: self._rng.choice(segment_load.STAGES) if name == "stage" else self._world().text()}

    def _data(self) -> Body:
        kind = self._rng.random()
        if kind < 0.4:
            return {"metadata": {"at": self.near()}}
        if kind < 0.8:
            return {"metadata": self._custom()}
        return {"metadata": None} if kind < 0.85 else {"current_campaign_data": self._world().custom()}

    def _custom(self) -> Body:
        numbers = {"age": self._rng.randrange(18, 90), "visits": self._rng.choice([7, "300", 500.5, None])}
        return numbers | {"at": self.near()} if self._rng.random() < 0.5 else self._world().custom()

    def _tags(self) -> Body:
        return {"tags": [*self._world().tags(), *self._rng.sample(HOT_TAGS, self._rng.randrange(3))]}

    def _flag(self) -> Body:
        return {self._rng.choice(FLAGS): self._rng.choice([True, False, None])}
