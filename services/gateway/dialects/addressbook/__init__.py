"""The dialect of an address book: contacts with custom fields, uploads that are mapped before they are imported, lists
and exports, in numbered pages."""

from services.gateway.dialects.addressbook import contacts, exports, imports, lists
from services.gateway.dialects.addressbook.route import AddressBookRoute

ROUTE = AddressBookRoute
OPERATIONS = [
    *contacts.routes.operations,
    *imports.routes.operations,
    *lists.routes.operations,
    *exports.routes.operations,
]
