"""The signatures of providers' posts. Each function says whether the signature is right, in constant time."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

BODY_HASH = "bodySHA256"


def is_signed_body(body: bytes, *, secret: str, signature: str) -> bool:
    """`sha256=` and the HMAC-SHA256 of the body in hexadecimal, as in X-Hub-Signature-256."""
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return equal(expected, signature)


def is_signed_form(url: str, form: Sequence[tuple[str, str]], *, secret: str, signature: str) -> bool:
    """X-Twilio-Signature of a form: HMAC-SHA1 in base64 over the URL and the sorted fields, names and values."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    return equal(sha1(secret, text), signature)


def is_signed_json(url: str, body: bytes, *, secret: str, signature: str) -> bool:
    """X-Twilio-Signature of another body: over the URL alone, whose query holds the body's SHA-256."""
    told = dict(parse_qsl(urlsplit(url).query)).get(BODY_HASH, "")
    whole = equal(hashlib.sha256(body).hexdigest(), told.lower())
    return equal(sha1(secret, url), signature) and whole


def sha1(secret: str, text: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
