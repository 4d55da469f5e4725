"""The part of Twilio's message API that a sender needs: create a message, hear its status by a signed callback."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

import aiohttp

from deploy.local.carrier.receipts import Receipt

API_VERSION = "2010-04-01"
UNREACHABLE = "30003"
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")


def created(account: str, sid: str, *, to: str, sender: str, text: str) -> dict[str, object]:
    return {
        "sid": sid,
        "account_sid": account,
        "api_version": API_VERSION,
        "status": "queued",
        "to": to,
        "from": sender,
        "body": text,
        "num_segments": "1",
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "uri": f"/{API_VERSION}/Accounts/{account}/Messages/{sid}.json",
    }


def text(form: Mapping[str, str]) -> str:
    """What is said; of approved content its id and what goes into it."""
    if "ContentSid" in form:
        return f"{form['ContentSid']} {form.get('ContentVariables', '')}".strip()
    return form.get("Body", "")


def refusal(to: str, sender: str, text: str) -> dict[str, object] | None:
    """Why a message cannot be created; None where it can."""
    if not to:
        return error(400, code=21604, message="A 'To' phone number is required.")
    if not sender:
        return error(400, code=21603, message="A 'From' phone number is required.")
    if not text:
        return error(400, code=21602, message="Message body is required.")
    if not PHONE.fullmatch(to.removeprefix("whatsapp:")):
        return error(400, code=21211, message=f"Invalid 'To' Phone Number: {to}")
    if to.startswith("whatsapp:") != sender.startswith("whatsapp:") and not sender.startswith("MG"):
        return error(400, code=63007, message="Twilio could not find a Channel with the specified From address")
    return None


def error(status: int, *, code: int, message: str) -> dict[str, object]:
    return {
        "status": status,
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
    }


class StatusCallback:
    """One message a post, as form fields, signed with the account's token."""

    batch = 1

    async def post(self, session: aiohttp.ClientSession, receipts: list[Receipt]) -> int:
        receipt = receipts[0]
        form = {
            "MessageSid": receipt.id,
            "MessageStatus": "undelivered" if receipt.failed else "delivered",
            "AccountSid": receipt.extra["account"],
            "To": receipt.extra["to"],
            "From": receipt.extra["from"],
            "ApiVersion": API_VERSION,
        }
        if receipt.failed:
            form["ErrorCode"] = UNREACHABLE
        headers = {"X-Twilio-Signature": signature(receipt.url, form, token=receipt.extra["token"])}
        async with session.post(receipt.url, data=form, headers=headers) as answer:
            return answer.status


def signature(url: str, form: dict[str, str], *, token: str) -> str:
    signed = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
