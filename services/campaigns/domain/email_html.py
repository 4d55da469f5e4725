"""Links of an email's HTML that tell of clicks, and the picture that tells of its opening."""

import html
import re
from collections.abc import Callable
from urllib.parse import urlsplit

# More would be an email that nobody can read; those behind stay as they are.
MAX_LINKS = 500
# In bytes. A longer URL would make a link that mail programs break.
MAX_URL = 2000

ANCHOR = re.compile(r"<a(?=[\s/])", re.IGNORECASE)
HREF = re.compile(r"""(?<=[\s/"'])href\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
CLOSING = re.compile(r"</body\s*>", re.IGNORECASE)
PIXEL = '<img src="{}" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px">'


def tracked(source: str, *, click: Callable[[str], str], pixel: str, keep: str = "") -> str:
    """The HTML with every web link of an <a> replaced by what `click` makes of its URL, and the picture at its end.

    keep: a URL that stays as it is, wherever it occurs (the one to unsubscribe). Everything else stays byte for byte:
    anchors within the page, mailto:, tel:, and links that are no absolute http or https URL. Takes time in proportion
    to the length, also of broken HTML.
    """
    parts: list[str] = []
    done, links = 0, 0
    while links < MAX_LINKS and (found := ANCHOR.search(source, done)) is not None:
        end = end_of_tag(source, found.end())
        if end is None:
            break
        parts.append(source[done : found.end()])
        attributes = source[found.end() : end]
        href = HREF.search(attributes)
        if href is not None:
            value = href[1]
            url = html.unescape(value[1:-1] if value[0] in "\"'" else value).strip()
            if url != keep and is_web(url):
                links += 1
                made = html.escape(click(url))
                attributes = f'{attributes[: href.start(1)]}"{made}"{attributes[href.end(1) :]}'
        parts.append(attributes)
        done = end
    parts.append(source[done:])
    return with_pixel("".join(parts), pixel)


def end_of_tag(source: str, start: int) -> int | None:
    """Where the `>` of a tag stands, quotes heeded; None where it is never closed."""
    at = start
    while at < len(source):
        char = source[at]
        if char == ">":
            return at
        if char in "\"'":
            at = source.find(char, at + 1)
            if at < 0:
                return None
        at += 1
    return None


def is_web(url: str) -> bool:
    """An absolute http or https URL that may stand in a header: what is followed leads nowhere else."""
    if len(url.encode("utf-8", "replace")) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        split = urlsplit(url)
    except ValueError:
        return False
    # A name in other letters has no one form in a header.
    return split.scheme in ("http", "https") and bool(split.hostname) and split.netloc.isascii()


def with_pixel(source: str, url: str) -> str:
    picture = PIXEL.format(html.escape(url))
    last = None
    for found in CLOSING.finditer(source):
        last = found
    return source + picture if last is None else source[: last.start()] + picture + source[last.start() :]
