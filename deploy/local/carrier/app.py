"""The simulator's HTTP face: the generic provider's protocol, a part of Twilio's, and the control."""

import asyncio
import base64
import binascii
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson

from deploy.local.carrier import batch, control, twilio
from deploy.local.carrier.acceptances import Acceptances, Accepted
from deploy.local.carrier.control import InvalidControl
from deploy.local.carrier.http import Request, Response
from deploy.local.carrier.receipts import Dialect, Generic, Receipt, Receipts

TWILIO_PREFIX = f"/{twilio.API_VERSION}/Accounts/"
TWILIO_SUFFIX = "/Messages.json"
TOLD_TO_FAIL = "the simulator was told to fail"


class Carrier:
    """Keeps in `folder` accepted.jsonl, receipts.jsonl (those taken), owed.jsonl and, while it runs, control.json."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._control_file = folder / "control.json"
        self.control = control.load(self._control_file)
        self.acceptances = Acceptances(folder / "accepted.jsonl")
        dialects: dict[str, Dialect] = {"generic": Generic(), "twilio": twilio.StatusCallback()}
        self.receipts = Receipts(folder, dialects, accepted=self.acceptances.found)
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/control"): self.get_control,
            ("PUT", "/control"): self.put_control,
            ("POST", "/control/release"): self.release,
            ("GET", "/stats"): self.get_stats,
        }

    async def start(self) -> None:
        await self.receipts.start()

    async def stop(self) -> None:
        await self.receipts.stop()
        self.acceptances.close()
        self._control_file.unlink(missing_ok=True)

    def handle(self, request: Request) -> Response | Awaitable[Response]:
        message = self.message_handler(request)
        if message is not None:
            return self.later(message, request) if self.control.delay_ms else message(request)
        handler = self._routes.get((request.method, request.path))
        if handler is None:
            return answer(404, {"error": f"there is no {request.method} {request.path}"})
        return handler(request)

    def message_handler(self, request: Request) -> Callable[[Request], Response] | None:
        if request.method != "POST":
            return None
        if request.path == "/messages":
            return self.post_message
        if request.path == "/messages/batch":
            return self.post_batch
        is_twilio = request.path.startswith(TWILIO_PREFIX) and request.path.endswith(TWILIO_SUFFIX)
        return self.post_twilio_message if is_twilio else None

    async def later(self, handler: Callable[[Request], Response], request: Request) -> Response:
        await asyncio.sleep(self.control.delay_ms / 1000)
        return handler(request)

    def post_message(self, request: Request) -> Response:
        try:
            message = orjson.loads(request.body)
            to, text, callback = message["to"], message["text"], message.get("callback_url")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return answer(400, {"error": "a JSON object with to and text is needed"})
        if not (isinstance(to, str) and to and isinstance(text, str) and isinstance(callback, str | None)):
            return answer(400, {"error": "to must be a string that is not empty, text and callback_url strings"})
        if self.happens(self.control.error_rate):
            return self.failure({"error": TOLD_TO_FAIL})

        def owe(made: Accepted) -> None:
            if callback and not made.duplicate:
                self.owe(Receipt(made.id, callback, self.happens(self.control.receipt_failed_rate)))

        accepted = self.accept(request.headers.get("idempotency-key"), to, text=text, id_prefix="car_", first=owe)
        return self.answer_or_drop(200 if accepted.duplicate else 202, {"id": accepted.id})

    def post_batch(self, request: Request) -> Response:
        try:
            messages = batch.messages(request.body)
        except batch.Malformed as error:
            return answer(400, {"error": str(error)})
        if self.happens(self.control.call_error_rate):
            return self.failure({"error": TOLD_TO_FAIL})
        results = [self.batched(message) for message in messages]
        kept = [one for one in results if not self.happens(self.control.omit_result_rate)]
        return self.answer_or_drop(200, {"results": kept})

    def batched(self, message: Mapping[str, Any]) -> dict[str, Any]:
        key, to, text, callback = message["key"], message.get("to"), message.get("text"), message.get("callback_url")
        if not (isinstance(to, str) and to and isinstance(text, str) and isinstance(callback, str | None)):
            return batch.result(key, "refused")
        if self.happens(self.control.error_rate):
            return batch.failure(key, self.control)

        def owe(made: Accepted) -> None:
            if callback and not made.duplicate:
                self.owe(Receipt(made.id, callback, self.happens(self.control.receipt_failed_rate)))

        return batch.result(key, "accepted", id=self.accept(key, to, text=text, id_prefix="car_", first=owe).id)

    def post_twilio_message(self, request: Request) -> Response:
        account = request.path[len(TWILIO_PREFIX) : -len(TWILIO_SUFFIX)]
        token = password(request.headers.get("authorization", ""))
        if token is None:
            return answer(401, twilio.error(401, code=20003, message="Authenticate"))
        form = dict(parse_qsl(request.body.decode(errors="replace")))
        to, text = form.get("To", ""), twilio.text(form)
        sender = form.get("From", "") or form.get("MessagingServiceSid", "")
        refusal = twilio.refusal(to, sender, text)
        if refusal is not None:
            return answer(400, refusal)
        if self.happens(self.control.error_rate):
            status = self.control.error_status
            return self.failure(twilio.error(status, code=20429 if status == 429 else 20500, message=TOLD_TO_FAIL))
        key = request.headers.get("i-twilio-idempotency-token") or request.headers.get("idempotency-key")
        callback = form.get("StatusCallback")

        def owe(made: Accepted) -> None:
            if callback and not made.duplicate:
                extra = {"account": account, "to": to, "from": sender, "token": token}
                failed = self.happens(self.control.receipt_failed_rate)
                self.owe(Receipt(made.id, callback, failed, "twilio", extra))

        accepted = self.accept(key, to, text=text, id_prefix="SM", first=owe)
        return self.answer_or_drop(201, twilio.created(account, accepted.id, to=to, sender=sender, text=text))

    def accept(
        self, key: str | None, to: str, *, text: str, id_prefix: str, first: Callable[[Accepted], None]
    ) -> Accepted:
        """first: owes the receipt, so that a kill after the message is written down forgets none."""
        honour_keys = self.control.honour_keys
        return self.acceptances.accept(key, to, text=text, id_prefix=id_prefix, honour_keys=honour_keys, first=first)

    def owe(self, receipt: Receipt) -> None:
        self.receipts.owe(receipt, self.control)

    def happens(self, rate: float) -> bool:
        return rate > 0 and random.random() < rate

    def failure(self, body: Mapping[str, Any]) -> Response:
        response = answer(self.control.error_status, body)
        if self.control.retry_after is not None:
            response.headers["Retry-After"] = f"{self.control.retry_after:g}"
        return response

    def answer_or_drop(self, status: int, body: Mapping[str, Any]) -> Response:
        response = answer(status, body)
        response.drop = self.happens(self.control.reset_after_accept_rate)
        return response

    def get_control(self, _: Request) -> Response:
        return answer(200, self.control.as_dict())

    def put_control(self, request: Request) -> Response:
        """Changes the settings that are named, leaves the others."""
        try:
            changes = orjson.loads(request.body)
            if not isinstance(changes, dict):
                raise InvalidControl("a JSON object is needed")
            self.control = self.control.changed(changes)
        except (orjson.JSONDecodeError, InvalidControl) as error:
            return answer(400, {"error": str(error)})
        control.save(self._control_file, self.control)
        return answer(200, self.control.as_dict())

    def release(self, _: Request) -> Response:
        return answer(200, {"released": self.receipts.release()})

    def get_stats(self, _: Request) -> Response:
        return answer(
            200,
            {
                "accepted": self.acceptances.accepted,
                "duplicates": self.acceptances.duplicates,
                "receipts_held": len(self.receipts.held),
                "receipts_waiting": self.receipts.waiting(),
                "receipts_delivered": self.receipts.delivered,
                "receipts_dropped": self.receipts.dropped,
            },
        )


def answer(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status, orjson.dumps(body))


def password(authorization: str) -> str | None:
    """Of a Basic header; None when it is not one."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return decoded.partition(":")[2] if scheme.lower() == "basic" and ":" in decoded else None
