"""Secrets at rest: encrypted with keys that can be rotated, compared by digest, never read back by a caller."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Iterator

from cryptography.fernet import Fernet, InvalidToken

SECRET_BYTES = 24
KEY_ID_BYTES = 4


class Sealer:
    """Encrypts with the first key, decrypts with any of them.

    A key's id is the beginning of its hash: it tells keys apart, in logs and in links, and says nothing of them.
    """

    def __init__(self, keys: str) -> None:
        """keys: Fernet keys, comma separated. Raises ValueError."""
        found = [key.strip() for key in keys.split(",") if key.strip()]
        if not found:
            raise ValueError("at least one secrets key is needed")
        self._fernets = {key_id(key): Fernet(key) for key in found}
        self._signing = {
            key_id(key): hmac.digest(urlsafe_b64decode(key), b"carillon signing", "sha256") for key in found
        }
        self.current = key_id(found[0])

    def seal(self, text: str) -> bytes:
        return self._fernets[self.current].encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Raises cryptography.fernet.InvalidToken where none of the keys made it."""
        return self._opened(sealed)[1]

    def key_of(self, sealed: bytes) -> str:
        """The id of the key that made it. Raises cryptography.fernet.InvalidToken where it is none of them."""
        return self._opened(sealed)[0]

    def _opened(self, sealed: bytes) -> tuple[str, str]:
        for name, fernet in self._fernets.items():
            try:
                return name, fernet.decrypt(sealed).decode()
            except InvalidToken:
                continue
        raise InvalidToken

    def sign(self, data: bytes, *, key: str | None = None) -> bytes | None:
        """HMAC-SHA256 with a key derived from the current one, or from the one with that id; None where there is no
        such key.
        """
        signing = self._signing.get(key or self.current)
        return None if signing is None else hmac.digest(signing, data, "sha256")

    def signatures(self, data: bytes) -> Iterator[bytes]:
        """As `sign`, with each of the keys, the current one first."""
        return (hmac.digest(signing, data, "sha256") for signing in self._signing.values())


def key_id(key: str) -> str:
    return hashlib.sha256(b"carillon key id" + key.encode()).hexdigest()[: 2 * KEY_ID_BYTES]


def new_secret() -> str:
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """For comparing; the secret is long and random, so that a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, expected: bytes) -> bool:
    return hmac.compare_digest(digest(secret), expected)
