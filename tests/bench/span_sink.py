"""Takes traces and throws them away: `python -m tests.bench.span_sink`. Prints its port.

So that tracing costs the processes under test what it costs in production, and the collector next to nothing.
"""

import http.server

from deploy.local import ports


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def main() -> None:
    server = http.server.ThreadingHTTPServer((ports.HOST, 0), Sink)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
