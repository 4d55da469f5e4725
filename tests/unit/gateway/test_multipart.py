"""The form parser, fed in every possible cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from services.gateway.errors import UnsupportedMediaType
from services.gateway.multipart import Field, FileBegins, FileBytes, Form, boundary_of

FIELDS = frozenset({"tags", "mode"})


def part(name: str, value: bytes, *, file_name: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{file_name}"' if file_name is not None else "")
    return f"--XX\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + value + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XX--\r\n"


def parse(raw: bytes, cuts: list[int]) -> tuple[list[Field], bytes, list[FileBegins]]:
    form = Form(b"XX", fields=FIELDS)
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    events = [one for at in range(len(edges) - 1) for one in form.feed(raw[edges[at] : edges[at + 1]])]
    form.close()
    return (
        [one for one in events if isinstance(one, Field)],
        b"".join(one.data for one in events if isinstance(one, FileBytes)),
        [one for one in events if isinstance(one, FileBegins)],
    )


@given(
    # What looks like a boundary, and is none, is the hard part.
    data=st.lists(st.sampled_from([b"\r\n", b"--", b"XX", b"\r\n--X", b"a,b", b"\x00", b"\r\n--XY"])).map(b"".join),
    cuts=st.lists(st.integers(min_value=0, max_value=10_000), max_size=6),
    file_first=st.booleans(),
)
def test_any_cut_and_any_order_give_the_same(data: bytes, cuts: list[int], *, file_first: bool) -> None:
    if b"\r\n--XX" in b"\r\n" + data + b"\r\n--X":
        return
    parts = [part("file", data, file_name="a.csv"), part("tags", b"a,b"), part("mode", "für".encode())]
    raw = body(*(parts if file_first else parts[::-1]))
    fields, found, begins = parse(raw, cuts)
    assert found == data
    assert begins == [FileBegins("a.csv", "")]
    assert {(one.name, one.value) for one in fields} == {("tags", "a,b"), ("mode", "für")}


def test_every_single_cut() -> None:
    raw = body(part("mode", b"x"), part("file", b"phone\r\n+1\r\n", file_name="a.csv"), part("tags", b"y"))
    for cut in range(len(raw)):
        fields, found, _ = parse(raw, [cut])
        assert (len(fields), found) == (2, b"phone\r\n+1\r\n"), cut


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (body(part("mode", b"x")), "validation_failed"),
        (body(), "validation_failed"),
        (body(part("file", b"a"), part("file", b"b")), "validation_failed"),
        (body(part("nonsense", b"a"), part("file", b"b")), "validation_failed"),
        (part("file", b"a"), "upload_incomplete"),
        (b"", "upload_incomplete"),
        (b"phone,name\n+1,John\n", "invalid_request"),
        (b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--\r\n", "invalid_request"),
        (b"--XX\r\nX-Nothing: 1\r\n\r\nx\r\n--XX--\r\n", "invalid_request"),
        (body(part("mode", b"x" * 70_000), part("file", b"a")), "validation_failed"),
    ],
)
def test_a_bad_form_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(raw, [])
    assert caught.value.reason == reason


def test_what_follows_the_form_is_ignored() -> None:
    raw = body(part("file", b"a"))
    form = Form(b"XX", fields=FIELDS)
    list(form.feed(raw))
    assert list(form.feed(b"an epilogue")) == []
    form.close()


@pytest.mark.parametrize("content_type", [None, "", "text/csv", "application/json", "multipart/mixed; boundary=x"])
def test_only_a_form_is_a_form(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        boundary_of(content_type)


def test_a_form_needs_its_boundary() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"
    with pytest.raises(InvalidArgument):
        boundary_of("multipart/form-data")
