"""The endpoints' secrets at rest: encrypted with keys that can be rotated."""

from cryptography.fernet import Fernet, MultiFernet


class Sealer:
    """Encrypts with the first key, decrypts with any of them."""

    def __init__(self, keys: str) -> None:
        """keys: Fernet keys, comma separated. Raises ValueError."""
        found = [key.strip() for key in keys.split(",") if key.strip()]
        if not found:
            raise ValueError("at least one secrets key is needed")
        self._fernet = MultiFernet([Fernet(key) for key in found])

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Raises cryptography.fernet.InvalidToken where none of the keys made it."""
        return self._fernet.decrypt(sealed).decode()
