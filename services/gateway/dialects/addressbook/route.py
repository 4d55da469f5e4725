"""Where the dialect is answered, and what its fields are called."""

from services.gateway.dialects.route import DialectRoute

BASE = "/compat/addressbook"
TAG = "Address book dialect"
# A column's target among them: `custom_fields.city` is `metadata.city`.
CUSTOM, METADATA = "custom_fields", "metadata"
# Where a field has another name than the canonical one.
NAMES = {METADATA: CUSTOM, "search": "name"}


class AddressBookRoute(DialectRoute):
    base = BASE
    names = NAMES
