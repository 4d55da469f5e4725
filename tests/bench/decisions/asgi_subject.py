"""A FastAPI app to measure under an ASGI server: `python -m … granian|uvicorn PORT_OF_GRPC_SERVER`. Prints its port.

`/bare` answers at once; `/contacts/x` makes one gRPC call and answers its result as JSON.
"""

import os
import sys
from typing import Any

import grpc
import orjson
from fastapi import FastAPI, Response

from carillon.contacts.v1 import contacts_pb2 as pb
from deploy.local import ports

TARGET = "CARILLON_BENCH_TARGET"


def build() -> FastAPI:
    app = FastAPI()
    calls: list[Any] = []

    def read() -> Any:
        # Made on the first request, in the loop that serves.
        if not calls:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{os.environ[TARGET]}")
            calls.append(
                channel.unary_unary(
                    "/bench.Subject/Read",
                    request_serializer=pb.GetContactRequest.SerializeToString,
                    response_deserializer=pb.GetContactResponse.FromString,
                )
            )
        return calls[0]

    @app.get("/bare")
    async def bare() -> Response:
        return Response(b'{"ok":true}', media_type="application/json")

    @app.get("/contacts/{contact_id}")
    async def contact(contact_id: str) -> Response:
        answer = await read()(pb.GetContactRequest(id=contact_id), timeout=5.0)
        found = answer.contact
        body = {"id": found.id, "phone": found.phone, "email": found.email, "tags": list(found.tags)}
        return Response(orjson.dumps(body), media_type="application/json")

    return app


def main(server: str, target: str) -> None:
    os.environ[TARGET] = target
    port = ports.choose()
    print(port, flush=True)  # how the parent learns of it
    if server == "granian":
        from granian import Granian
        from granian.constants import Interfaces, Loops

        Granian(
            "tests.bench.decisions.asgi_subject:build",
            address="127.0.0.1", port=port, interface=Interfaces.ASGI, loop=Loops.uvloop, factory=True,
            log_enabled=False,
        ).serve()  # fmt: skip
    else:
        import uvicorn

        uvicorn.run(build(), host="127.0.0.1", port=port, log_level="error", loop="uvloop", access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
