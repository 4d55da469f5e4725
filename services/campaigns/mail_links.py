"""The links of one recipient's email: what its HTML becomes before it is sent."""

from uuid import UUID

from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.campaigns.domain import email_html
from services.campaigns.tracking import Kind, Tracked, unsubscribe_url, url


def open_url(public_url: str, sealer: Sealer, *, account: AccountId, recipient: UUID) -> str:
    """public_url: here and below, without a slash at its end."""
    return url(public_url, sealer, Tracked(Kind.OPEN, account, recipient))


def click_url(public_url: str, sealer: Sealer, *, account: AccountId, recipient: UUID, to: str) -> str:
    """to: an absolute http or https URL, see email_html.is_web. Raises ValueError."""
    if not email_html.is_web(to):
        raise ValueError("only absolute http and https URLs are signed")
    return url(public_url, sealer, Tracked(Kind.CLICK, account, recipient, to.encode()))


def tracked_html(html: str, *, public_url: str, sealer: Sealer, account: AccountId, recipient: UUID) -> str:
    """The HTML with its links leading here first, and the picture that tells of its opening."""
    return email_html.tracked(
        html,
        click=lambda to: click_url(public_url, sealer, account=account, recipient=recipient, to=to),
        pixel=open_url(public_url, sealer, account=account, recipient=recipient),
        keep=unsubscribe_url(public_url, sealer, account=account, recipient=recipient),
    )
