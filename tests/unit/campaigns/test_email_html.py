"""Links of an email that tell of clicks."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.email_html import MAX_LINKS, is_web, tracked

PIXEL = "https://us.example/t/pixel"


def click(url: str) -> str:
    return f"https://us.example/t/{url.encode().hex()}"


def rewritten(source: str, keep: str = "") -> str:
    """Without the picture."""
    made = tracked(source, click=click, pixel=PIXEL, keep=keep)
    return re.sub(r"<img[^>]*/t/pixel[^>]*>", "", made)


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ('<a href="https://shop.example/a?b=1&amp;c=2">x</a>', "https://shop.example/a?b=1&c=2"),
        ("<a class=x href='http://shop.example/'>x</a>", "http://shop.example/"),
        ("<A\n HREF = https://shop.example/x target=_blank>x</A>", "https://shop.example/x"),
        ('<a title="a > b" href="https://shop.example/#top">x</a>', "https://shop.example/#top"),
        ('<a data-href="no" href="https://shop.example/">x</a>', "https://shop.example/"),
    ],
    ids=["entities", "single quotes", "no quotes", "a bracket in a title", "another attribute"],
)
def test_a_web_link_leads_here_and_says_whereto(source: str, url: str) -> None:
    made = rewritten(source)
    assert html.escape(click(url)) in made
    assert "shop.example" not in made
    assert made.endswith(("x</a>", "x</A>"))


@pytest.mark.parametrize(
    "source",
    ['<a href="#top">x</a>', '<a href="mailto:a@b.example">x</a>', '<a href="tel:+1555">x</a>', '<a href="/path">x</a>',
     '<a href="javascript:alert(1)">x</a>', '<a href="//evil.example">x</a>', '<a name="x">x</a>', "<abbr>x</abbr>",
     '<a href="https://a.example/\nSet-Cookie: x">x</a>', "<a href=", '<a href="https://a.example', "no links < > &",
     '<a href="https://">x</a>', '<link href="https://a.example/x.css">', '<img src="https://a.example/x.png">',
     '<a href="http://[bad">x</a>', '<a href="https://münchen.example/">x</a>', '<a href="https://a.example\\@b.example">x</a>'],
)  # fmt: skip
def test_everything_else_stays_byte_for_byte(source: str) -> None:
    assert rewritten(source) == source


def test_the_link_to_unsubscribe_stays() -> None:
    source = '<a href="https://us.example/t/u&amp;v">bye</a><a href="https://a.example/">x</a>'
    made = rewritten(source, keep="https://us.example/t/u&v")
    assert made.startswith('<a href="https://us.example/t/u&amp;v">bye</a>')
    assert "a.example" not in made


@pytest.mark.parametrize(
    ("source", "before"),
    [("<html><body>x</body></html>", "</body>"), ("<body></body>x</BODY >", "</BODY >"), ("x", "")],
    ids=["body", "the last of two", "a fragment"],
)
def test_the_picture_stands_at_the_end_of_the_body(source: str, before: str) -> None:
    made = tracked(source, click=click, pixel=PIXEL)
    picture = re.search(r"<img[^>]*>", made)
    assert picture is not None
    assert made[picture.end() :].startswith(before)
    assert made.replace(picture[0], "") == source


@given(st.lists(st.sampled_from(["<a", " href=", '"', "'", ">", "https://a.example/", "</a>", " ", "x", "&amp;"])))
def test_broken_html_loses_nothing(pieces: list[str]) -> None:
    source = "".join(pieces)
    made = rewritten(source)
    # What was replaced is what stands in the links; all else is there, in its order.
    unmade = re.sub(r'"https://us\.example/t/([0-9a-f]+)"', lambda found: f"[{bytes.fromhex(found[1]).decode()}]", made)
    assert re.sub(r"\W", "", html.unescape(unmade)) == re.sub(r"\W", "", html.unescape(source))


@pytest.mark.parametrize(
    "piece", ['<a "', "<a '", "<a href=", "<a href='x", "<a ", '<a href="https://a.example/">x</a>']
)
def test_long_html_takes_time_in_proportion(piece: str) -> None:
    """Quadratic work would take minutes: the suite's own limit is the assertion."""
    assert len(tracked(piece * 40_000, click=click, pixel=PIXEL)) > 0


def test_no_more_links_than_a_reader_follows() -> None:
    source = '<a href="https://a.example/">x</a>' * (MAX_LINKS + 1)
    assert rewritten(source).count("https://a.example/") == 1


@pytest.mark.parametrize("url", ["https://a.example", "http://a.example:8080/x?y#z", "https://user@a.example/"])
def test_web_addresses_are_signed(url: str) -> None:
    assert is_web(url)
