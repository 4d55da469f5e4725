"""The simulator's HTTP face: the generic provider's protocol, a part of Twilio's, and the control."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from aiohttp import BasicAuth, web

from deploy.local.carrier import control, twilio
from deploy.local.carrier.acceptances import Acceptances, Accepted
from deploy.local.carrier.control import Control, InvalidControl
from deploy.local.carrier.receipts import Generic, Receipt, Receipts

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
TWILIO_PREFIX = f"/{twilio.API_VERSION}/Accounts/"
TWILIO_SUFFIX = "/Messages.json"


class Carrier:
    """Keeps in `folder` accepted.jsonl, receipts.jsonl (those taken), owed.jsonl and, while it runs, control.json."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._control_file = folder / "control.json"
        self.control = control.load(self._control_file)
        self.acceptances = Acceptances(folder / "accepted.jsonl")
        self.receipts = Receipts(folder, {"generic": Generic(), "twilio": twilio.StatusCallback()})
        self._routes: dict[tuple[str, str], Handler] = {
            ("POST", "/messages"): self.post_message,
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

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Routed by hand: aiohttp's router costs a third of what a message may."""
        path = request.rel_url.raw_path
        handler = self._routes.get((request.method, path))
        if handler is None and request.method == "POST" and path.startswith(TWILIO_PREFIX):
            handler = self.post_twilio_message if path.endswith(TWILIO_SUFFIX) else None
        if handler is None:
            return answer(404, {"error": f"there is no {request.method} {path}"})
        return await handler(request)

    async def post_message(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            message = orjson.loads(await request.read())
            to, text, callback = message["to"], message["text"], message.get("callback_url")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return answer(400, {"error": "a JSON object with to and text is needed"})
        if not (isinstance(to, str) and to and isinstance(text, str) and isinstance(callback, str | None)):
            return answer(400, {"error": "to must be a string that is not empty, text and callback_url strings"})
        if failure := await self.misbehave():
            return failure_answer(failure, {"error": "the simulator was told to fail"}, self.control)
        accepted = self.accept(request.headers.get("Idempotency-Key"), to, text=text, id_prefix="car_")
        if callback and not accepted.duplicate:
            self.owe(Receipt(accepted.id, callback, self.fails()))
        return self.answer_or_reset(request, answer(200 if accepted.duplicate else 202, {"id": accepted.id}))

    async def post_twilio_message(self, request: web.BaseRequest) -> web.StreamResponse:
        account = request.rel_url.raw_path[len(TWILIO_PREFIX) : -len(TWILIO_SUFFIX)]
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            token = BasicAuth.decode(request.headers.get("Authorization", "")).password
        except ValueError:
            return answer(401, twilio.error(401, code=20003, message="Authenticate"))
        to, text, sender = form.get("To", ""), form.get("Body", ""), form.get("From", "")
        if not to or not text:
            return answer(400, twilio.error(400, code=21604, message="To and Body are required"))
        if failure := await self.misbehave():
            body = twilio.error(
                failure, code=20429 if failure == 429 else 20500, message="the simulator was told to fail"
            )
            return failure_answer(failure, body, self.control)
        key = request.headers.get("I-Twilio-Idempotency-Token") or request.headers.get("Idempotency-Key")
        accepted = self.accept(key, to, text=text, id_prefix="SM")
        callback = form.get("StatusCallback")
        if callback and not accepted.duplicate:
            extra = {"account": account, "to": to, "from": sender, "token": token}
            self.owe(Receipt(accepted.id, callback, self.fails(), "twilio", extra))
        created = twilio.created(account, accepted.id, to=to, sender=sender, text=text)
        return self.answer_or_reset(request, answer(201, created))

    async def misbehave(self) -> int | None:
        """The delay, and the status of the error to answer with if there is to be one."""
        if self.control.delay_ms:
            await asyncio.sleep(self.control.delay_ms / 1000)
        return self.control.error_status if random.random() < self.control.error_rate else None

    def accept(self, key: str | None, to: str, *, text: str, id_prefix: str) -> Accepted:
        return self.acceptances.accept(key, to, text=text, id_prefix=id_prefix, honour_keys=self.control.honour_keys)

    def owe(self, receipt: Receipt) -> None:
        self.receipts.owe(receipt, self.control)

    def fails(self) -> bool:
        return random.random() < self.control.receipt_failed_rate

    def answer_or_reset(self, request: web.BaseRequest, response: web.Response) -> web.Response:
        if random.random() < self.control.reset_after_accept_rate and request.transport is not None:
            request.transport.abort()
        return response

    async def get_control(self, _: web.BaseRequest) -> web.StreamResponse:
        return answer(200, self.control.as_dict())

    async def put_control(self, request: web.BaseRequest) -> web.StreamResponse:
        """Changes the settings that are named, leaves the others."""
        try:
            changes = orjson.loads(await request.read())
            if not isinstance(changes, dict):
                raise InvalidControl("a JSON object is needed")
            self.control = self.control.changed(changes)
        except (orjson.JSONDecodeError, InvalidControl) as error:
            return answer(400, {"error": str(error)})
        control.save(self._control_file, self.control)
        return answer(200, self.control.as_dict())

    async def release(self, _: web.BaseRequest) -> web.StreamResponse:
        return answer(200, {"released": self.receipts.release()})

    async def get_stats(self, _: web.BaseRequest) -> web.StreamResponse:
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


def answer(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def failure_answer(status: int, body: dict[str, Any], current: Control) -> web.Response:
    response = answer(status, body)
    if current.retry_after is not None:
        response.headers["Retry-After"] = f"{current.retry_after:g}"
    return response
