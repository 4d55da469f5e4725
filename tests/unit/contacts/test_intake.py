"""What clients send becomes a patch, or a list of everything that is wrong with it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contacts.domain import emails, limits, metadata, names, tags
from services.contacts.domain.contact import Email
from services.contacts.domain.problems import Refused
from services.contacts.imports.by_column import short_texts
from services.contacts.intake import read_patch, text


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("John Doe", ("John", "Doe")),
        ("John", ("John", None)),
        ("María del Carmen López", ("María del Carmen", "López")),
        ("  John \t Doe ", ("John", "Doe")),
        ("", (None, None)),
        ("  ", (None, None)),
    ],
)
def test_a_name_is_parted_at_its_last_space(name, parts):
    assert names.split(name) == parts


@given(st.text())
def test_a_name_reads_as_it_was_written_but_for_spaces(name):
    assert names.join(*names.split(name)) == (" ".join(name.split()) or None)


def test_parts_that_were_given_win_over_the_name():
    assert read_patch({"name": "A B", "last_name": "C"}).sets == {"last_name": "C"}
    assert read_patch({"name": "A B"}).sets == {"first_name": "A", "last_name": "B"}
    assert read_patch({"name": ""}).sets == {"first_name": None, "last_name": None}


@pytest.mark.parametrize(
    ("text", "validity"),
    [
        ("john@example.org", "valid"),
        ("John.O'Neil+tag@Sub.Example.Org", "valid"),
        ("user@xn--bcher-kva.example", "invalid"),
        ("a@b.test", "invalid"),
        ("用户@例子.中国", "valid"),
        ("jürgen@müller.de", "valid"),
    ],
)
def test_emails_that_are_taken(text, validity):
    email = read_patch({"email": f" {text} "}).sets["email"]
    assert email == Email(text, text.lower(), validity)


@pytest.mark.parametrize(
    "text",
    ["x", "@", "a@", "@b.de", "a@b", "a@b..de", "a b@c.de", "a@-b.de", "a@b.de, c@d.de", "a@1.2.3.4", "a@b.c\0",
     ".a@b.de", "x" * 65 + "@b.de", "a@" + "b" * 250 + ".de", "ü@", "a@ü..de"],
)  # fmt: skip
def test_emails_that_are_not(text):
    with pytest.raises(Refused) as caught:
        read_patch({"email": text})
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [("/email", "invalid_email")]


def test_empty_text_clears():
    assert read_patch({"phone": "", "email": " ", "stage": "", "country": ""}).sets == {
        "phone": None,
        "email": None,
        "stage": None,
        "given_country": None,
    }


def test_tags_are_a_set_in_order():
    assert tags.clean([" b ", "a", "b", "B"]) == ["b", "a", "B"]
    assert tags.parse_cell("premium, active,, ") == ["premium", "active"]
    assert len(tags.clean(["x" * limits.TAG_CHARACTERS])) == 1
    assert len(tags.clean([str(n) for n in range(limits.TAGS)])) == limits.TAGS
    for wrong in ([""], ["x" * (limits.TAG_CHARACTERS + 1)], ["a\0"], [str(n) for n in range(limits.TAGS + 1)]):
        with pytest.raises(Refused):
            tags.clean(wrong)


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("text", ['{"a": 1}', nested(5), '{"a": [[[[1]]]]}', '{"n": 123456789012345678901234567890}'])
def test_metadata_that_is_taken(text):
    assert metadata.parse(text, field="metadata") == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": 1e999}',
        nested(6),
        nested(5000),
        '{"a\\u0000": 1}',
        '{"a": ["\\u0000"]}',
        '{"a": "\\udc00"}',
        json.dumps({"a": "x" * limits.METADATA_BYTES}),
    ],
)
def test_metadata_that_is_not(text):
    with pytest.raises(Refused):
        metadata.parse(text, field="metadata")


STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
JSON = st.dictionaries(STORABLE, st.none() | st.integers() | st.booleans() | STORABLE, max_size=6)


@given(JSON, JSON)
def test_merge_is_by_key_and_null_drops(present, patch):
    present = metadata.merge({}, present)
    merged = metadata.merge(present, patch)
    for key in present.keys() | patch.keys():
        assert merged.get(key) == (patch[key] if key in patch else present[key])
    assert None not in merged.values()
    assert metadata.load(metadata.dump(merged)) == merged


def test_merge_refuses_to_grow_beyond_the_limit():
    half = {"a": "x" * (limits.METADATA_BYTES // 2)}
    with pytest.raises(Refused):
        metadata.merge(half, {"b": "x" * (limits.METADATA_BYTES // 2)})


@given(st.dictionaries(st.text(), st.text(max_size=3000), max_size=8))
def test_the_quick_check_of_a_row_takes_nothing_that_the_full_one_refuses(value):
    try:
        metadata.check_texts(value)
    except Refused:
        return
    metadata.check(value, field="metadata")


@pytest.mark.parametrize(
    "value",
    [
        {"a": "".join(map(chr, range(0x20, 0x100))), "b": "\b\f\n\r\t\x01\x1f\x7f\u2028\U0001f600/"},
        {"n": 2**64, "m": -(2**63) - 1, "x": 1.5, "y": None, "z": [True, {}]},
        {"half": "\ud800"},
    ],
)
def test_metadata_is_written_the_same_whichever_encoder_writes_it(value):
    assert metadata.dump(value) == metadata.ENCODER.encode(value)


ADDRESSES = st.lists(
    st.sampled_from(
        ("a@b.de", "A.b+c@mail.example.org", "é@b.de", "a@b", "@b.de", "a@b.de ", "",
         "x" * 64 + "@b.de", "x" * 65 + "@b.de",
         "a@" + "b" * 60 + "." + "c" * 60 + "." + "d" * 60 + "." + "e" * 60 + ".de")
    ),
    max_size=4,
)  # fmt: skip


@given(ADDRESSES)
def test_many_emails_are_judged_as_each_by_itself(addresses):
    assert emails.all_plain(addresses) == all(map(emails.is_plain, addresses))


@given(st.lists(st.text(st.sampled_from("a\0 "), max_size=4), max_size=4))
def test_many_short_texts_are_judged_as_each_by_itself(cells):
    cells = [cell.strip() for cell in cells]

    def taken(cell: str) -> bool:
        try:
            text("stage", limit=2)(cell)
        except Refused:
            return False
        return True

    assert short_texts(2)(cells) == all(map(taken, cells))
