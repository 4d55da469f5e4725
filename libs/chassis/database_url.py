"""The database's URL, as libpq reads it, for asyncpg.

asyncpg reads host, sslmode, target_session_attrs and their like from a URL itself. Everything else it sends to the
server as a setting, which is right for `options` or `search_path` and wrong for what only libpq knows: that is dealt
with here.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

CONNECT_SECONDS = 5.0
# How libpq keeps or picks connections: we do as the system does.
PASSED_OVER = frozenset(
    {
        "fallback_application_name", "gssdelegation", "keepalives", "keepalives_count", "keepalives_idle",
        "keepalives_interval", "load_balance_hosts", "sslcompression", "sslsni", "tcp_user_timeout",
    }
)  # fmt: skip
# What asyncpg cannot do, with the values that do not ask for it. Whoever asks is told, rather than left less safe.
WITHOUT = {
    "channel_binding": ("disable", "prefer"),
    "client_encoding": ("utf8", "utf-8", "auto"),
    "gssencmode": ("disable", "prefer"),
    "require_auth": ("",),
    "requirepeer": ("",),
    "sslcertmode": ("allow",),
}


@dataclass(frozen=True, slots=True)
class Target:
    """`url` and `timeout` are asyncpg's."""

    url: str = field(repr=False)
    timeout: float


def read(url: str) -> Target:
    """Raises ValueError, which names the parameter and never shows the URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ValueError("the database's URL does not begin with postgresql://")
    kept, timeout = [], CONNECT_SECONDS
    for name, value in parameters(parts.query):
        if name == "connect_timeout":
            timeout = seconds(value)
        elif name in WITHOUT:
            if value.lower() not in WITHOUT[name]:
                raise ValueError(f"the database's URL asks for {name}={value}, which is not supported: leave it out")
        elif name not in PASSED_OVER:
            kept.append((name, value))
    return Target(urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote))), timeout)


def parameters(query: str) -> list[tuple[str, str]]:
    try:
        # A plus is a plus to libpq.
        return parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("the parameters of the database's URL are not name=value, joined by &") from None


def seconds(value: str) -> float:
    """0 means for ever to libpq; nothing here waits for ever, so that it means our own limit."""
    try:
        asked = int(value)
    except ValueError:
        raise ValueError("connect_timeout of the database's URL is no whole number of seconds") from None
    return float(asked) if asked > 0 else CONNECT_SECONDS
