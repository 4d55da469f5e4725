import json
from pathlib import Path

import pytest

from deploy.local.carrier.acceptances import Acceptances


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accepted.jsonl"


def accept(acceptances: Acceptances, key: str | None, *, honour_keys: bool = True):
    return acceptances.accept(key, "+15550100", text="hi", id_prefix="car_", honour_keys=honour_keys)


def test_a_known_key_gets_its_first_id(path):
    acceptances = Acceptances(path)
    first, again, other = (accept(acceptances, key) for key in ("a", "a", "b"))
    assert (again.id, again.duplicate) == (first.id, True)
    assert other.id != first.id
    assert not other.duplicate


def test_without_a_key_every_message_is_new(path):
    acceptances = Acceptances(path)
    assert len({accept(acceptances, None).id for _ in range(3)}) == 3


def test_keys_that_are_not_honoured_make_new_messages(path):
    acceptances = Acceptances(path)
    first, again = accept(acceptances, "a"), accept(acceptances, "a", honour_keys=False)
    assert again.id != first.id
    assert not again.duplicate


def test_each_acceptance_is_in_the_file_when_the_call_returns(path):
    acceptances = Acceptances(path)
    for expected in (False, True):
        accepted = accept(acceptances, "a")
        line = json.loads(path.read_text().splitlines()[-1])
        assert list(line) == ["at", "key", "to", "text", "id", "duplicate"]
        assert line | {"at": ""} == {
            "at": "", "key": "a", "to": "+15550100", "text": "hi", "id": accepted.id, "duplicate": expected
        }  # fmt: skip


def test_a_restarted_simulator_knows_the_keys_and_makes_no_id_twice(path):
    before = Acceptances(path)
    first = accept(before, "a")
    after = Acceptances(path)
    assert accept(after, "a").id == first.id
    assert accept(after, "b").id != first.id
    assert (after.accepted, after.duplicates) == (2, 1)


def test_a_line_cut_short_costs_only_itself(path):
    accept(Acceptances(path), "a")
    with path.open("a") as file:
        file.write('{"at": "2026-')  # no newline: the process died while it wrote
    after = Acceptances(path)
    accept(after, "b")
    assert json.loads(path.read_text().splitlines()[-1])["key"] == "b"
    assert accept(Acceptances(path), "b").duplicate
