"""Answers compressed, with zstd or gzip as Accept-Encoding asks.

Only whole answers of a kilobyte or more and of a type that gets smaller by it: what is streamed (events, downloads)
goes out as it is made.
"""

from collections.abc import Callable

import zstandard
from isal import igzip
from starlette.responses import Response, StreamingResponse

SMALLEST_BYTES = 1024
# Both at their fast end: a page of 100 contacts costs 0.1 ms by zstd and 0.04 ms by gzip (0.26 ms by the
# standard library's).
GZIP_LEVEL, ZSTD_LEVEL = 1, 1
COMPRESSIBLE = (b"application/json", b"application/problem+json", b"text/html")


def gzipped(body: bytes | memoryview) -> bytes:
    return igzip.compress(body, GZIP_LEVEL, mtime=0)


def zstandardised(body: bytes | memoryview) -> bytes:
    # A compressor is not safe to share between threads, and costs next to nothing to make.
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)


# In the order in which they are taken where a client likes them equally.
ENCODERS: dict[str, Callable[[bytes | memoryview], bytes]] = {"zstd": zstandardised, "gzip": gzipped}


def compress(answer: Response, accept_encoding: str) -> None:
    """In place, where it is whole, of a type that gets smaller, and long enough."""
    if isinstance(answer, StreamingResponse):
        return
    headers = dict(answer.raw_headers)
    if b"content-encoding" in headers or not headers.get(b"content-type", b"").startswith(COMPRESSIBLE):
        return
    headers[b"vary"] = b"Accept-Encoding"
    encoding = chosen(accept_encoding) if len(answer.body) >= SMALLEST_BYTES else None
    if encoding is not None:
        answer.body = ENCODERS[encoding](answer.body)
        headers[b"content-encoding"] = encoding.encode()
        headers[b"content-length"] = b"%d" % len(answer.body)
    answer.raw_headers = list(headers.items())


def chosen(accept_encoding: str) -> str | None:
    """The encoding liked best; None where neither is accepted. `*` counts for gzip, which everything reads."""
    liked: dict[str, float] = {}
    for part in accept_encoding.split(","):
        name, _, parameters = part.partition(";")
        name = name.strip().lower()
        liked.setdefault("gzip" if name in {"*", "x-gzip"} else name, quality(parameters))
    best = max(ENCODERS, key=lambda name: liked.get(name, 0.0))
    return best if liked.get(best, 0.0) > 0 else None


def quality(parameters: str) -> float:
    """Of `q=0.5`; 1 where there is none, 0 where it cannot be read."""
    for one in parameters.split(";"):
        name, _, value = one.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
