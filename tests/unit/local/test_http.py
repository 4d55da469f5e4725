"""Of the carrier's HTTP server, what can be told without a socket: how bytes become requests."""

import asyncio

import pytest

from deploy.local.carrier import http
from deploy.local.carrier.http import Connection, Malformed, Response, Server


class Wire(asyncio.Transport):
    """Takes what the connection writes."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.closed = self.aborted = False

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True


def connected(handler):
    connection, wire = Connection(Server(handler)), Wire()
    connection.connection_made(wire)
    return connection, wire


def echo(request):
    return Response(200, request.method.encode() + b" " + request.path.encode() + b" " + request.body)


REQUEST = b"POST /messages?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"


def test_a_request_may_come_byte_by_byte():
    connection, wire = connected(echo)
    for byte in REQUEST:
        connection.data_received(bytes([byte]))
    assert wire.written.endswith(b"\r\n\r\nPOST /messages hi")


def test_requests_in_one_packet_are_answered_in_order():
    connection, wire = connected(echo)
    connection.data_received(REQUEST + REQUEST.replace(b"hi", b"yo"))
    assert wire.written.index(b"messages hi") < wire.written.index(b"messages yo")


def test_a_chunked_body_is_put_together():
    connection, wire = connected(echo)
    connection.data_received(b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n")
    assert wire.written == b""
    connection.data_received(b"0\r\n\r\n")
    assert wire.written.endswith(b"PUT /c hello")


def test_a_client_that_asks_first_is_told_to_go_on_once():
    connection, wire = connected(echo)
    connection.data_received(b"PUT /c HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    connection.data_received(b"h")
    connection.data_received(b"i")
    assert wire.written.count(b"100 Continue") == 1
    assert wire.written.endswith(b"PUT /c hi")


def test_connection_close_is_honoured():
    connection, wire = connected(echo)
    connection.data_received(REQUEST.replace(b"Host: a", b"Connection: close"))
    assert wire.closed


def test_a_dropped_answer_is_not_written():
    connection, wire = connected(lambda _: Response(200, b"secret", drop=True))
    connection.data_received(REQUEST)
    assert wire.aborted
    assert wire.written == b""


def test_a_failing_handler_answers_500():
    def fail(_):
        raise RuntimeError

    connection, wire = connected(fail)
    connection.data_received(REQUEST)
    assert wire.written.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 2000000000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * http.HEAD_BYTES, 431),
    ],
)
def test_what_is_not_http_is_refused_and_hung_up_on(sent, status):
    connection, wire = connected(echo)
    connection.data_received(sent)
    assert wire.written.startswith(b"HTTP/1.1 %d " % status)
    assert wire.closed


def test_malformed_names_its_status():
    assert Malformed(413).status == 413
