"""Email addresses: the usual ones are decided by `domain.emails`, the rest by email-validator."""

import email_validator

from services.contacts.domain import emails, limits
from services.contacts.domain.contact import Email


def read_email(text: str) -> Email | None:
    """The address as given, folded, with its validity; None where it is no email address.

    No name server is asked: `valid` says that the address is well formed under a domain that can exist.
    """
    address = text.strip()
    if not emails.is_plain(address) and not is_unusual(address):
        return None
    return Email(address, emails.fold(address), "valid" if emails.is_reachable(address) else "invalid")


def is_unusual(address: str) -> bool:
    """International addresses, mostly."""
    if len(address) > limits.EMAIL_CHARACTERS or "\0" in address or address.isascii():
        return False
    try:
        email_validator.validate_email(address, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError:
        return False
    return True
