"""Free TCP ports on the loopback address."""

import hashlib
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


def block(owner: str, size: int) -> list[int]:
    """Free ports in a row, the same for the same owner as long as nobody else listens on one of them.

    Stacks that start at the same moment, when none of them listens yet, so hardly ever want the same ones.
    """
    rows = (LAST - FIRST) // size
    wish = int.from_bytes(hashlib.sha256(owner.encode()).digest()[:8]) % rows
    for row in range(rows):
        first = FIRST + (wish + row) % rows * size
        found = list(range(first, first + size))
        if all(is_free(port) for port in found):
            return found
    raise OSError(f"there are no {size} free ports in a row between {FIRST} and {LAST}")


def choose(taken: frozenset[int] = frozenset()) -> int:
    """A port that is free now and not among `taken` (ports promised to others that do not listen yet)."""
    for _ in range(ATTEMPTS):
        port = random.randrange(FIRST, LAST)
        if port not in taken and is_free(port):
            return port
    raise OSError(f"none of {ATTEMPTS} ports tried between {FIRST} and {LAST} was free")
