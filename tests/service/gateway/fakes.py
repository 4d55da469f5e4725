"""The services behind the gateway, replaced at the stub: real gRPC servers whose methods answer what a test says."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from chassis.call import Call
from chassis.errors import CarillonError
from chassis.grpc_server import rpc


@dataclass
class Received:
    method: str
    call: Call
    # The messages of a stream, or the one request.
    requests: list[Any]

    @property
    def request(self) -> Any:
        return self.requests[0]


Answer = Message | CarillonError | Exception | Callable[[Any], Message]


@dataclass
class FakeService:
    """`answers["GetContact"] = response | error | function of the request`; without one the empty response."""

    descriptor: ServiceDescriptor
    answers: dict[str, Answer] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    admits: set[str] = field(default_factory=lambda: {"gateway"})

    def __post_init__(self) -> None:
        for method in self.descriptor.methods:
            setattr(self, method.name, rpc(admits=self.admits)(self.behaviour(method)))

    def behaviour(self, method: MethodDescriptor) -> Callable[..., Any]:
        response = GetMessageClass(method.output_type)

        async def unary(call: Call, request: Any) -> Message:
            self.received.append(Received(method.name, call, [request]))
            return self.answer(method.name, request, response)

        async def stream_in(call: Call, requests: AsyncIterator[Any]) -> Message:
            got = Received(method.name, call, [])
            self.received.append(got)
            answer = self.answers.get(method.name)
            async for request in requests:
                got.requests.append(request)
                if isinstance(answer, Exception):
                    raise answer
            return self.answer(method.name, got.requests, response)

        async def stream_out(call: Call, request: Any) -> AsyncIterator[Message]:
            yield await unary(call, request)

        return stream_in if method.client_streaming else stream_out if method.server_streaming else unary

    def answer(self, method: str, request: Any, response: type[Message]) -> Message:
        answer = self.answers.get(method)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer(request)
        return response() if answer is None else answer

    def last(self, method: str) -> Received:
        return next(one for one in reversed(self.received) if one.method == method)

    def clear(self) -> None:
        self.answers.clear()
        self.received.clear()
