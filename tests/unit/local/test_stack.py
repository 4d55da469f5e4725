"""What a stack decides before it starts anything."""

import os
import signal
import stat

import pytest

from deploy.local import home, identity, plan, ports, processes, state, supervisor
from deploy.local.home import Home
from deploy.local.identity import Identity
from deploy.local.processes import Spec
from deploy.local.state import State


@pytest.fixture
def where(tmp_path) -> Home:
    made = Home(tmp_path / "home with space")
    made.make()
    return made


@pytest.fixture
def free(monkeypatch):
    """Every port is free but those added here; nothing is bound in this layer."""
    taken: set[int] = set()
    monkeypatch.setattr(ports, "is_free", lambda port: port not in taken)
    return taken


def test_home_is_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert home.find({"CARILLON_HOME": "a b/c"}).folder == tmp_path / "a b" / "c"
    assert home.find({}).folder == home.REPOSITORY / ".carillon"


def test_reset_leaves_what_the_stack_did_not_make(where):
    (where.folder / "mine.txt").write_text("x")
    where.env.write_text("x")
    where.remove()
    assert [path.name for path in where.folder.iterdir()] == ["mine.txt"]


def test_what_is_made_once_is_kept(where):
    first = state.load(where)
    first.save(where)
    assert state.load(where) == first
    assert stat.S_IMODE(where.state.stat().st_mode) == 0o600


def test_ports_are_kept_and_all_different(where, free):
    known = state.load(where)
    state.choose_ports(where, known, running=False, environ={})
    first = dict(known.ports)
    assert len({*first.values(), known.gateway_port}) == len(state.LISTENERS) + 1
    state.choose_ports(where, known, running=False, environ={})
    assert known.ports == first


def test_a_port_that_somebody_took_meanwhile_is_replaced(where, free):
    known = state.load(where)
    state.choose_ports(where, known, running=False, environ={})
    free.add(lost := known.ports["nats"])
    state.choose_ports(where, known, running=True, environ={})
    assert known.ports["nats"] == lost  # it is our own server that listens there
    state.choose_ports(where, known, running=False, environ={})
    assert known.ports["nats"] != lost


def test_the_gateway_port_is_asked_for_not_chosen(where, free):
    known = State()
    state.choose_ports(where, known, running=False, environ={"CARILLON_PORT": "9123"})
    assert known.gateway_port == 9123
    state.choose_ports(where, known, running=True, environ={})
    assert known.gateway_port == 9123
    free.add(9123)
    with pytest.raises(OSError, match="9123 is in use"):
        state.choose_ports(where, known, running=False, environ={})
    with pytest.raises(OSError, match="make down"):
        state.choose_ports(where, known, running=True, environ={"CARILLON_PORT": "9124"})


def test_processes_inherit_the_shell_but_nothing_of_another_stack(where):
    shell = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "CARILLON_NATS_URL": "nats://other", "no_proxy": "corp"}
    env = processes.environment(where, shell)
    assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://x"
    assert "CARILLON_NATS_URL" not in env
    assert env["no_proxy"].split(",") == ["corp", "127.0.0.1", "localhost"]


def test_each_process_gets_the_role_and_key_that_are_its_own(where, free):
    known = state.load(where)
    state.choose_ports(where, known, running=False, environ={})
    for service in processes.SERVING:
        for mode, role in (("serve", "serve"), ("work", "work"), ("migrate", "owner")):
            settings = processes.service_settings(known, service, mode=mode, nats_url="nats://x")
            assert f"//{service}_{role}:" in settings["CARILLON_DATABASE_URL"]
            assert settings.get("CARILLON_TOKEN_PRIVATE_KEY") == (
                None if mode == "migrate" else known.private_keys[service]
            )
            assert ("CARILLON_SECRETS_KEYS" in settings) == (service in ("campaigns", "gateway") and mode != "migrate")
            assert ("CARILLON_ERASURE_KEY" in settings) == (service == "contacts" and mode != "migrate")


def test_every_process_is_stopped_in_some_row():
    assert sorted(name for row in processes.STOP_ORDER for name in row) == sorted(processes.ALL)


def test_a_plan_reads_as_it_was_written(where):
    spec = Spec("nats", ["nats-server"], {"A": "b'c"}, "http://x", uid=5, gid=6)
    plan.write(where, plan.Plan({"nats": spec}, restart=False))
    assert plan.read(where) == plan.Plan({"nats": spec}, restart=False)


def test_a_reused_pid_is_not_taken_for_the_process_that_had_it():
    own = identity.of(os.getpid())
    assert own is not None
    assert own.is_alive()
    reused = Identity(os.getpid(), "another boot:1")
    assert not reused.is_alive()
    assert reused.send(signal.SIGTERM) is False  # else this test ends here


def test_a_process_that_keeps_failing_is_started_ever_later_but_always():
    pauses = [supervisor.pause(failures) for failures in range(40)]
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == supervisor.LONGEST_PAUSE_SECONDS
