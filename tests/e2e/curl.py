"""Reads a curl command as the seed documents print it: tests send what is written there, not a translation."""

import re
import shlex
from dataclasses import dataclass, field

HOST = "https://api-message.nativehub.live"


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    # Of `-F "file=@contacts.csv"`: the part's name and the file's.
    upload: tuple[str, str] | None = None


def parse(command: str, *, key: str, ids: dict[str, str] | None = None) -> Request:
    """key stands in for YOUR_TOKEN, ids for the documents' made-up ones. Raises ValueError for an unknown option."""
    for made_up, real in (ids or {}).items():
        command = command.replace(made_up, real)
    words = shlex.split(re.sub(r"\\\n", " ", command.replace("YOUR_TOKEN", key)))
    if words.pop(0) != "curl":
        raise ValueError("not a curl command")
    request = Request("", "")
    while words:
        word = words.pop(0)
        if word == "-X":
            request.method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            request.headers[name] = value
        elif word == "-d":
            request.body = words.pop(0)
        elif word == "-F":
            name, _, file_name = words.pop(0).partition("=@")
            request.upload = (name, file_name)
        elif word.startswith(HOST):
            request.path = word.removeprefix(HOST)
        else:
            raise ValueError(f"unknown: {word}")
    request.method = request.method or ("GET" if request.body is None else "POST")
    return request
