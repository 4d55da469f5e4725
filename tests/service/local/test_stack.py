"""Up, down and supervision, with real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from deploy.local import databases, demo_account, env, processes, stack, state
from deploy.local.home import Home
from tests.service.local.conftest import wait_until


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_up_starts_all_and_a_second_up_changes_nothing(small):
    small.up()
    before = small.pids()
    assert {name: small.conditions()[name] for name in processes.INFRASTRUCTURE} == dict.fromkeys(before, "ready")
    small.up()
    assert small.pids() == before


def test_down_keeps_the_data_and_leaves_no_process(small):
    small.up()
    known, pids = state.load(small.home), [*small.pids().values(), small.supervisor().pid]
    admin = env.values(small.home, known)["CARILLON_CONTACTS_DATABASE_URL"].replace("/contacts", "/postgres")
    with psycopg.connect(admin) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    stack.down(small.home)
    assert not [pid for pid in pids if alive(pid)]
    assert not list((small.home.folder / "pids").iterdir())
    small.up()
    assert state.load(small.home).ports == known.ports
    with psycopg.connect(admin) as connection:
        connection.execute("SELECT n FROM kept")


@pytest.mark.parametrize("name", processes.INFRASTRUCTURE)
def test_a_killed_process_is_started_again_and_gets_ready(small, name):
    small.up()
    before = small.pid(name)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: small.pid(name) != before and small.conditions()[name] == "ready")


def test_unsupervised_a_killed_process_stays_down_until_up(small):
    small.up(CARILLON_SUPERVISE="0")
    before = small.pids()
    os.kill(before["carrier"], signal.SIGKILL)
    os.kill(before["nats"], signal.SIGKILL)
    # One look of the supervisor sees both ends, nats's first: were it to start anything, then nats before it says this.
    told = small.home.log("supervisor")
    wait_until(lambda: f"carrier (pid {before['carrier']}) ended" in told.read_text())
    assert told.read_text().rpartition("carrier (pid")[2].count("started") == 0
    small.up(CARILLON_SUPERVISE="0")
    assert small.pid("postgres") == before["postgres"]
    assert small.conditions()["carrier"] == "ready"


def test_a_killed_supervisor_takes_nothing_with_it_and_is_replaced(small):
    small.up()
    before, supervisor = small.pids(), small.supervisor()
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not supervisor.is_alive())
    small.up()
    assert small.pids() == before
    os.kill(before["carrier"], signal.SIGKILL)  # one that the new supervisor did not start itself
    wait_until(lambda: small.pid("carrier") != before["carrier"] and small.conditions()["carrier"] == "ready")


def test_down_stops_all_though_the_supervisor_was_killed(small):
    small.up()
    pids = small.pids()
    os.kill(small.supervisor().pid, signal.SIGKILL)
    stack.down(small.home)
    assert not [pid for pid in pids.values() if alive(pid)]


def test_down_signals_no_stranger_whose_pid_is_in_an_old_record(small):
    small.up()
    stack.down(small.home)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        record = '{"identity": {"pid": %d, "started": "long ago"}, "since": 0, "restarts": 0}' % stranger.pid  # noqa: UP031
        small.home.record("carrier").write_text(record)
        stack.down(small.home)
        assert stranger.poll() is None
        stranger.kill()


def test_two_stacks_side_by_side(make_small):
    one, two = make_small("one"), make_small("two")
    one.up()
    two.up()
    ports = [set(state.load(small.home).ports.values()) for small in (one, two)]
    assert not ports[0] & ports[1]
    stack.down(one.home)
    assert {two.conditions()[name] for name in processes.INFRASTRUCTURE} == {"ready"}


def test_a_folder_with_spaces_far_longer_than_a_socket_may_be_named_and_its_end(make_small):
    small = make_small("a folder/" + "/".join(["of a long 'name'"] * 12))
    small.up()
    assert small.conditions()["postgres"] == "ready"
    assert len(str(small.home.folder)) > 108
    script = f'. "{small.home.env}"; printf "%s\\n" "$CARILLON_URL" "$CARILLON_CARRIER_URL" $CARILLON_METRICS_URLS'
    lines = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout.splitlines()
    known = state.load(small.home)
    assert lines[:2] == [f"http://127.0.0.1:{small.environ['CARILLON_PORT']}", processes.carrier_url(known)]
    assert len(lines[2:]) == 8
    assert small.home.env.stat().st_mode & 0o077 == 0
    data = Path(processes.specs(small.home, known)["postgres"].data or "")
    assert (data / "PG_VERSION").exists()
    stack.reset(small.home)
    assert not data.exists()
    assert not small.home.folder.exists()


def test_what_does_not_come_up_is_named_with_its_last_words(small):
    small.up()
    stack.down(small.home)
    streams, moved = small.home.nats / "jetstream", small.home.nats / "moved"
    streams.rename(moved)
    streams.write_text("not a folder")
    with pytest.raises(stack.NotUp, match=r"nats is not ready(.|\n)*not a directory"):
        small.up()
    stack.down(small.home)
    streams.unlink()
    moved.rename(streams)


def test_a_password_for_one_service_opens_no_other_database(small):
    small.up()
    known = state.load(small.home)
    admin = env.values(small.home, known)["CARILLON_CONTACTS_DATABASE_URL"].replace("/contacts", "/postgres")
    urls = {
        service: databases.create(admin, service, passwords=known.passwords[service])
        for service in ("contacts", "segments")
    }
    with psycopg.connect(urls["contacts"].serve) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("contacts_serve",)
    login = ("contacts_serve", known.passwords["contacts"]["serve"])
    for database in ("segments", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(databases.with_login(admin, database, login=login))


def test_roles_may_not_look_past_the_row_policies(small):
    small.up()
    known = state.load(small.home)
    admin = env.values(small.home, known)["CARILLON_CONTACTS_DATABASE_URL"].replace("/contacts", "/postgres")
    databases.create(admin, "contacts", passwords=known.passwords["contacts"])
    with psycopg.connect(admin) as connection:
        powerful = connection.execute(
            "SELECT rolname FROM pg_roles"
            " WHERE rolname LIKE 'contacts%' AND (rolsuper OR rolbypassrls OR rolcreaterole)"
        ).fetchall()
    assert powerful == []


@pytest.fixture
def gateway_command(monkeypatch, tmp_path):
    """Stands in for `carillon accounts create`; takes the Python that it is to run."""

    def command(program: str) -> state.State:
        monkeypatch.setattr(processes, "carillon", lambda *_: [sys.executable, "-c", program])
        return state.State(
            ports=dict.fromkeys(state.LISTENERS, 1),
            passwords={service: dict.fromkeys(databases.ROLES, "x") for service in databases.SERVICES},
        )

    return command


def test_the_key_is_the_last_line_of_what_the_gateway_says(gateway_command, tmp_path):
    known = gateway_command("import sys; print('made', sys.argv[1]); print('ck_live_1')")
    assert demo_account.create_account(Home(tmp_path), known, "x") == "ck_live_1"


@pytest.mark.parametrize("program", ["print('no key')", "print('ck_live_1'); raise SystemExit('no database')"])
def test_an_account_that_cannot_be_made_says_why(gateway_command, tmp_path, program):
    with pytest.raises(demo_account.AccountFailed, match=r"no key|no database"):
        demo_account.create_account(Home(tmp_path), gateway_command(program), "x")
