"""The hashes that are left of addresses: they are stored, so that they stay what they are."""

import hmac
from base64 import b64encode
from uuid import UUID

from chassis.ids import AccountId
from services.contacts.erasure.hashing import AddressHash

KEY = bytes(range(32))
ACCOUNT = AccountId(UUID("018f8b0c-7c1e-7c1e-8c1e-1234567890ab"))
HASHES = AddressHash(b64encode(KEY).decode())


def test_an_address_has_the_hash_that_is_on_record_of_it() -> None:
    phone = hmac.digest(KEY, b"phone\0" + ACCOUNT.bytes + b"\0+14155552671", "sha256")
    email = hmac.digest(KEY, b"email\0" + ACCOUNT.bytes + b"\0ada@example.org", "sha256")
    assert HASHES.of(ACCOUNT, "+14155552671", by_email=False) == phone
    assert HASHES.of(ACCOUNT, "ada@example.org", by_email=True) == email


def test_many_have_the_hashes_that_each_has() -> None:
    addresses = ["+14155552671", "", "+14155552672", "+14155552671"]
    each = [HASHES.of(ACCOUNT, address, by_email=False) for address in addresses]
    assert HASHES.of_all(ACCOUNT, addresses, by_email=False) == each
    assert len(set(each)) == 3
