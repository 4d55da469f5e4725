"""/docs: the OpenAPI as one plain page. No script, no font, nothing from elsewhere: it reads offline."""

from html import escape
from typing import Any

import orjson

HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
METHODS = ("get", "post", "put", "patch", "delete")
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f4f6f8;padding:.8rem;overflow:auto}
details{border:1px solid #d8dee6;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}summary{cursor:pointer}
.m{display:inline-block;min-width:4.2rem;font-weight:700}.get{color:#0b6bcb}.post{color:#0a7d3c}.put,.patch{color:#9a6200}
.delete{color:#b42318}td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}small{color:#5a6675}
"""


def render(document: dict[str, Any]) -> str:
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                groups.setdefault(item[method]["tags"][0], []).append(operation(path, method, item[method]))
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in groups.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>{paragraphs(info['description'])}"
        f'<p>The same as <a href="/openapi.json">OpenAPI 3.1</a>, with every schema.</p>{body}</body></html>'
    )


def operation(path: str, method: str, item: dict[str, Any]) -> str:
    head = f'<span class="m {method}">{method.upper()}</span> <code>{escape(path)}</code> — {escape(item["summary"])}'
    parts = [
        paragraphs(item.get("description", "")),
        f"<p><small>Scope: <code>{escape(item['x-required-scope'])}</code></small></p>",
    ]
    if item.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
            f"<td>{escape(one.get('description', ''))}</td></tr>"
            for one in item["parameters"]
        )
        parts.append(f"<table><tr><th>Parameter</th><th>in</th><th></th></tr>{rows}</table>")
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{code_spans(answer['description'])}</td></tr>"
        for status, answer in item["responses"].items()
    )
    parts.append(f"<table><tr><th>Answer</th><th></th></tr>{answers}</table>")
    parts += [example("Takes", item.get("requestBody", {}))]
    parts += [example(f"Answers {status}", one) for status, one in item["responses"].items() if status < "3"]
    return f'<details id="{escape(item["operationId"])}"><summary>{head}</summary>{"".join(parts)}</details>'


def example(title: str, body: dict[str, Any]) -> str:
    """Of a JSON body; nothing where it is none."""
    shown = body.get("content", {}).get("application/json", {}).get("example")
    if shown is None:
        return ""
    text = orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
    return f"<p><small>{escape(title)}</small></p><pre>{escape(text)}</pre>"


def paragraphs(text: str) -> str:
    return "".join(f"<p>{code_spans(part)}</p>" for part in text.split("\n\n") if part.strip())


def code_spans(text: str) -> str:
    """Backticks become <code>; the rest is escaped."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
