"""A file is what its bytes are, whatever it is called."""

import pytest

from formats.kinds import kind_of
from formats.records import Unreadable
from tests import workbooks


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"phone,name\n", "csv"),
        (b"\xef\xbb\xbfphone\n", "csv"),
        ("phone\n".encode("utf-16"), "csv"),
        (b"{phone};name\n", "csv"),
        (workbooks.table([["phone"]]), "xlsx"),
        (b"\r\nbegin:vcard\n", "vcard"),
        (b"\xef\xbb\xbfBEGIN:VCARD\n", "vcard"),
        ("BEGIN:VCARD\n".encode("utf-16"), "vcard"),
        ("BEGIN:VCARD\n".encode("utf-16-be"), "vcard"),
    ],
)
def test_what_is_read(head, kind):
    assert kind_of(head) == kind


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), r"Old Excel files \(.xls\)"),
        (b"<html><table><tr><td>phone", "web page"),
        (b"\xef\xbb\xbf\r\n<!DOCTYPE html>", "web page"),
        ("<html>".encode("utf-16"), "web page"),
        (b"<!-- x --><table>", "web page"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook>', "XML"),
        (b'[{"phone": "+1"}]', "JSON"),
        (b'{"phone": "+1"}\n', "JSON"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "Compressed"),
        (b"PK\x05\x06" + bytes(18), "empty"),
        ("phone".encode("utf-32"), "UTF-32"),
        (b"<!--" * 1_000, "XML"),
    ],
)
def test_what_is_not(head, said):
    with pytest.raises(Unreadable, match=said):
        kind_of(head)
