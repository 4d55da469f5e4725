"""The short-lived token that says for which account a service calls another (JWT, EdDSA, RFC 8037).

The caller signs with its own key; the callee knows every service's public key and names the issuers it admits.
"""

import time
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chassis.errors import Reason, Unauthenticated
from chassis.ids import AccountId, decode_account, encode_account

LIFETIME_SECONDS = 120
# A cached token is signed anew when less than this is left of it.
RENEW_SECONDS = 60
CACHE_SIZE = 10_000
# How far the clocks of two machines may differ.
LEEWAY_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Claims:
    account: AccountId
    issuer: str
    scopes: frozenset[str]
    expires: int


class TokenSigner:
    """Signs tokens of one service, and keeps them while they are fresh: a signature costs 50 µs."""

    def __init__(self, service: str, private_key: str) -> None:
        """private_key: the base64 of an Ed25519 seed of 32 bytes."""
        self._service = service
        self._key = Ed25519PrivateKey.from_private_bytes(b64decode(private_key))
        self._cache: dict[tuple[AccountId, str, tuple[str, ...]], tuple[str, float]] = {}

    def token(self, account: AccountId, audience: str, *, scopes: tuple[str, ...] = ()) -> str:
        now, key = time.time(), (account, audience, scopes)
        cached = self._cache.get(key)
        if cached is not None and cached[1] - now > RENEW_SECONDS:
            return cached[0]
        expires = int(now) + LIFETIME_SECONDS
        claims = {
            "iss": self._service,
            "aud": audience,
            "account": encode_account(account),
            "scopes": " ".join(scopes),
            "exp": expires,
        }
        token = jwt.encode(claims, self._key, algorithm="EdDSA")
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[key] = (token, expires)
        return token


class TokenVerifier:
    """Checks tokens made for one service, and remembers good ones until they expire."""

    def __init__(self, audience: str, public_keys: Mapping[str, str]) -> None:
        """public_keys: the base64 of each issuer's Ed25519 public key; several comma separated while it is rotated."""
        self._audience = audience
        self._keys = {
            name: [Ed25519PublicKey.from_public_bytes(b64decode(key)) for key in keys.split(",")]
            for name, keys in public_keys.items()
        }
        self._cache: dict[str, Claims] = {}

    def verify(self, token: str) -> Claims:
        """Raises Unauthenticated."""
        claims = self._cache.get(token)
        if claims is None:
            claims = self._check(token)
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            self._cache[token] = claims
        elif claims.expires + LEEWAY_SECONDS < time.time():
            del self._cache[token]
            raise refused("the token has expired")
        return claims

    def _check(self, token: str) -> Claims:
        try:
            # Read before the check only to choose the keys; nothing else of it is believed.
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            keys = self._keys.get(str(issuer))
            if keys is None:
                raise refused("the token's issuer is unknown")
            claims = self._verified(token, keys)
        except jwt.PyJWTError as error:
            raise refused("the token is not valid") from error
        account = decode_account(str(claims["account"]))
        if account is None:
            raise refused("the token names no account")
        scopes = frozenset(str(claims.get("scopes", "")).split())
        return Claims(account=account, issuer=str(issuer), scopes=scopes, expires=int(claims["exp"]))

    def _verified(self, token: str, keys: list[Ed25519PublicKey]) -> dict[str, Any]:
        """What it says, when any of the keys has signed it. Raises jwt.PyJWTError."""
        for key in keys[:-1]:
            with suppress(jwt.InvalidSignatureError):
                return self._decoded(token, key)
        return self._decoded(token, keys[-1])

    def _decoded(self, token: str, key: Ed25519PublicKey) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["iss", "aud", "account", "exp"]},
        )


def refused(why: str) -> Unauthenticated:
    return Unauthenticated(Reason.UNAUTHENTICATED, f"The call is not authenticated: {why}.")
