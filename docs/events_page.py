"""docs/events.md, from events.proto, the list of types and an example of each."""

import json
import re
from pathlib import Path

from docs.event_examples import EXAMPLES
from services.gateway.convert.events import MESSAGES, envelope_of
from services.gateway.domain import retries
from services.gateway.domain.event_types import EVENT_TYPES

ROOT = Path(__file__).resolve().parents[1]
PROTO = ROOT / "proto/carillon/events/v1/events.proto"
TEXT = ROOT / "docs/events_text.md"
BLOCK = re.compile(r"((?:^//[^\n]*\n)+)^message (\w+) \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)
TYPE = re.compile(r"`([a-z]+\.[a-z_]+)`")
EVENT_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
TIME = "2026-03-01T09:30:00.250000Z"


class Block:
    """A message of events.proto with its comment."""

    def __init__(self, comment: str, name: str, body: str) -> None:
        self.name = name
        self.comment = " ".join(line.removeprefix("//").strip() for line in comment.splitlines())
        self.source = f"message {name} {{\n{body}}}"
        self.types = TYPE.findall(self.comment)
        # What it says behind the types.
        self.meaning = re.sub(r"^(?:`[^`]+`(?: \([^)]*\))?,? ?)+[:.] ?", "", self.comment)

    def parts(self, blocks: dict[str, "Block"]) -> list["Block"]:
        """The messages of this file that it is made of, in the order of their use."""
        found: list[Block] = []
        for name in re.findall(r"^ +(?:repeated |optional )?(\w+) \w+ = \d+;", self.source, re.MULTILINE):
            if name in blocks and blocks[name] not in found:
                found += [blocks[name], *blocks[name].parts(blocks)]
        return found


def blocks() -> dict[str, Block]:
    return {name: Block(comment, name, body) for comment, name, body in BLOCK.findall(PROTO.read_text())}


def table(found: dict[str, Block]) -> str:
    lines = ["| type | data | |", "|---|---|---|"]
    for block in found.values():
        if block.types:
            types = " ".join(f"`{one}`" for one in block.types)
            lines.append(f"| {types} | [`{block.name}`](#{block.name.lower()}) | {block.meaning} |")
    return "\n".join(lines)


def section(block: Block, found: dict[str, Block]) -> str:
    sources = "\n\n".join(
        f"// {one.comment}\n{one.source}" if one is not block else one.source for one in [block, *block.parts(found)]
    )
    lines = [f"### {block.name}", "", block.comment, "", "```proto", sources, "```"]
    for event_type in block.types:
        shown = json.dumps(example(event_type), indent=2, ensure_ascii=False)
        lines += ["", f"`{event_type}`:", "", "```json", shown, "```"]
    return "\n".join(lines)


def example(event_type: str) -> dict[str, object]:
    return envelope_of(EXAMPLES[event_type], event_id=EVENT_ID, event_type=event_type, time=TIME, position=42)


def schedule() -> str:
    return ", ".join(readable(int(delay.total_seconds())) for delay in retries.DELAYS)


def readable(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def page() -> str:
    """Raises AssertionError where events.proto and the list of types do not name the same."""
    found = blocks()
    named = [one for block in found.values() for one in block.types]
    assert sorted(named) == sorted(EVENT_TYPES), set(named) ^ set(EVENT_TYPES)
    for block in found.values():
        for one in block.types:
            assert MESSAGES[one].DESCRIPTOR.name == block.name, one
    sections = "\n\n".join(section(block, found) for block in found.values() if block.types)
    return (
        TEXT.read_text()
        .replace("<!-- table -->", table(found))
        .replace("<!-- schedule -->", schedule())
        .replace("<!-- attempts -->", str(retries.MAX_ATTEMPTS))
        .replace("<!-- events -->", sections)
    )
