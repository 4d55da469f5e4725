"""Providers' signatures, against values that others computed."""

import hashlib

import pytest

from services.campaigns.hooks.signatures import is_signed_body, is_signed_form, is_signed_json, sha1

# The example of Twilio's own documentation.
URL = "https://example.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675310"),
    ("Digits", "1234"),
    ("From", "+14158675310"),
    ("To", "+18005551212"),
]
TOKEN = "12345"
FORM_SIGNATURE = "L/OH5YylLD5NRKLltdqwSvS0BnU="
# Of RFC 4231, test case 2.
RFC_KEY, RFC_DATA = "Jefe", b"what do ya want for nothing?"
RFC_MAC = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_forms_signature_is_known() -> None:
    assert is_signed_form(URL, FORM, secret=TOKEN, signature=FORM_SIGNATURE)
    # In whatever order the fields come.
    assert is_signed_form(URL, FORM[::-1], secret=TOKEN, signature=FORM_SIGNATURE)


@pytest.mark.parametrize(
    ("url", "form", "secret", "signature"),
    [
        (URL + "x", FORM, TOKEN, FORM_SIGNATURE),
        (URL.replace("https", "http"), FORM, TOKEN, FORM_SIGNATURE),
        (URL, FORM[1:], TOKEN, FORM_SIGNATURE),
        (URL, [*FORM, ("Body", "STOP")], TOKEN, FORM_SIGNATURE),
        (URL, FORM, "12346", FORM_SIGNATURE),
        (URL, FORM, TOKEN, ""),
        (URL, FORM, TOKEN, "é"),
    ],
    ids=["another url", "another scheme", "a field less", "a field more", "another token", "no signature", "no base64"],
)
def test_another_form_is_not_signed(url: str, form: list[tuple[str, str]], secret: str, signature: str) -> None:
    assert not is_signed_form(url, form, secret=secret, signature=signature)


def test_json_is_signed_over_the_url_with_its_hash() -> None:
    body = b'{"MessageSid": "SM1"}'
    url = f"https://us.example/hooks?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = sha1(TOKEN, url)
    assert is_signed_json(url, body, secret=TOKEN, signature=signature)
    assert not is_signed_json(url, body + b" ", secret=TOKEN, signature=signature)
    bare = "https://us.example/hooks"
    assert not is_signed_json(bare, body, secret=TOKEN, signature=sha1(TOKEN, bare))


def test_a_bodys_hmac_is_known() -> None:
    assert is_signed_body(RFC_DATA, secret=RFC_KEY, signature=f"sha256={RFC_MAC}")
    for wrong in (RFC_MAC, f"sha1={RFC_MAC}", f"sha256={RFC_MAC[:-1]}0", ""):
        assert not is_signed_body(RFC_DATA, secret=RFC_KEY, signature=wrong)
