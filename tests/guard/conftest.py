"""The guard layer uses the servers of the service layer."""

from tests.service.conftest import account, broker, keys, make_database, nats, other, postgres

__all__ = ["account", "broker", "keys", "make_database", "nats", "other", "postgres"]
