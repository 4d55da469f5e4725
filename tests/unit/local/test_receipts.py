from pathlib import Path

from deploy.local.carrier import lines, receipts, twilio
from deploy.local.carrier.receipts import Receipt

ONE = Receipt("car_1", "http://127.0.0.1:1/a", failed=False)
TWO = Receipt("car_2", "http://127.0.0.1:1/b", failed=True)


def journal(path: Path, *entries) -> Path:
    appender = lines.Appender(path)
    for entry in entries:
        appender.append(entry)
    appender.close()
    return path


def test_what_is_owed_survives(tmp_path):
    path = journal(tmp_path / "owed", receipts.line(ONE, held=False), receipts.line(TWO, held=True))
    assert receipts.unsettled(path) == ([TWO], [ONE])


def test_a_receipt_that_was_taken_is_not_owed(tmp_path):
    path = journal(tmp_path / "owed", receipts.line(ONE, held=False), {"settled": [ONE.id]})
    assert receipts.unsettled(path) == ([], [])


def test_a_released_receipt_waits_to_be_sent(tmp_path):
    path = journal(tmp_path / "owed", receipts.line(TWO, held=True), {"released": [TWO.id]})
    assert receipts.unsettled(path) == ([], [TWO])


def test_the_rewritten_journal_says_the_same(tmp_path):
    path = tmp_path / "owed"
    receipts.rewrite(path, [ONE], [TWO])
    assert receipts.unsettled(path) == ([ONE], [TWO])


def test_the_signature_is_the_one_that_twilio_documents():
    # The worked example of its page on webhook security.
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature(url, form, token="12345") == "GvWf1cFY/Q7PnoempGyD5oXAezc="
