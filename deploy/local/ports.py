"""Free TCP ports on the loopback address."""

import random
import socket

HOST = "127.0.0.1"
# Below the range from which Linux, macOS and Windows take the ports of outgoing connections (32768 and up),
# so that no connection sits on the port of a process while that is being restarted.
FIRST, LAST = 15_000, 32_000
ATTEMPTS = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now; a connection that is closing does not count as a user."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(taken: frozenset[int] = frozenset()) -> int:
    """A port that is free now and not among `taken` (ports promised to others that do not listen yet)."""
    for _ in range(ATTEMPTS):
        port = random.randrange(FIRST, LAST)
        if port not in taken and is_free(port):
            return port
    raise OSError(f"none of {ATTEMPTS} ports tried between {FIRST} and {LAST} was free")
