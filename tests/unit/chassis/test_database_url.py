import pytest

from chassis import database_url

URL = "postgresql://role:p%40ss@one:5432,two:5433/db"


def test_a_url_without_parameters_stays_as_it_is() -> None:
    assert database_url.read(URL) == database_url.Target(URL, database_url.CONNECT_SECONDS)


def test_what_asyncpg_reads_itself_and_what_the_server_knows_is_kept() -> None:
    query = "sslmode=verify-full&sslrootcert=%2Fca%20s.crt&options=-c%20work_mem%3D8MB&search_path=a%2Bb"
    assert database_url.read(f"{URL}?{query}").url == f"{URL}?{query}"


def test_a_plus_is_no_space() -> None:
    assert database_url.read(f"{URL}?application_name=a+b").url == f"{URL}?application_name=a%2Bb"


@pytest.mark.parametrize(
    ("given", "seconds"), [("30", 30.0), ("0", database_url.CONNECT_SECONDS), ("-1", database_url.CONNECT_SECONDS)]
)
def test_the_time_to_connect_is_taken_out_of_it(given: str, seconds: float) -> None:
    assert database_url.read(f"{URL}?connect_timeout={given}") == database_url.Target(URL, seconds)


@pytest.mark.parametrize("name", sorted(database_url.PASSED_OVER))
def test_what_only_libpq_knows_never_reaches_the_server(name: str) -> None:
    assert database_url.read(f"{URL}?{name}=1&sslmode=require").url == f"{URL}?sslmode=require"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("channel_binding=require", "channel_binding=require"),
        ("gssencmode=require", "gssencmode=require"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("client_encoding=latin1", "client_encoding"),
        ("connect_timeout=soon", "connect_timeout"),
        ("sslmode", "name=value"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name_and_tells_no_password(query: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        database_url.read(f"{URL}?{query}")
    assert "p%40ss" not in str(refused.value)


def test_other_databases_are_refused() -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        database_url.read("mysql://role:secret@host/db")
