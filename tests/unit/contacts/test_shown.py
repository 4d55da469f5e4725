"""A contact reads the same whether contacts writes it from a row or the gateway from the wire."""

import orjson
from hypothesis import given

from formats import contact_json
from services.contacts import convert, shown
from services.gateway.convert import contacts as gateway
from tests.unit.contacts.test_snapshot import CONTACTS


@given(CONTACTS)
def test_from_a_row_as_from_the_wire(contact):
    from_wire = orjson.dumps(gateway.contact(convert.contact(contact)), option=contact_json.OPTIONS)
    assert orjson.loads(shown.page([contact])) == [orjson.loads(from_wire)]
    assert list(orjson.loads(from_wire)) == list(orjson.loads(shown.page([contact]))[0])
