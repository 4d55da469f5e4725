import pytest

from deploy.local.carrier import control
from deploy.local.carrier.control import Control, InvalidControl


def test_a_change_leaves_what_it_does_not_name():
    slow = Control().changed({"delay_ms": 20})
    assert slow.changed({"error_rate": 0.5}) == Control(delay_ms=20, error_rate=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"delay": 1},
        {"delay_ms": -1},
        {"delay_ms": "20"},
        {"error_rate": 1.5},
        {"error_rate": True},
        {"error_status": 200},
        {"error_status": 503.5},
        {"receipts": "never"},
        {"honour_keys": 1},
        {"error_rate": None},
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes):
    with pytest.raises(InvalidControl, match=next(iter(changes))):
        Control().changed(changes)


def test_a_killed_simulator_finds_its_setting_again(tmp_path):
    wanted = Control(receipts="hold", retry_after=2.5)
    control.save(tmp_path / "control.json", wanted)
    assert control.load(tmp_path / "control.json") == wanted


def test_without_a_file_the_defaults_hold(tmp_path):
    assert control.load(tmp_path / "control.json") == Control()
