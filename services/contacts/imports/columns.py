"""Which column of a file is which field of a contact."""

import re
from collections.abc import Sequence

from services.contacts.imports.plan import Column

# Titles as they stand in the wild, letters and digits only → the field they mean.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "phone": (
        "phone",
        "phonenumber",
        "phoneno",
        "phone1",
        "phone1value",
        "primaryphone",
        "mobile",
        "mobilephone",
        "mobilenumber",
        "mobileno",
        "cell",
        "cellphone",
        "cellnumber",
        "tel",
        "telephone",
        "telephonenumber",
        "msisdn",
        "number",
        "whatsapp",
        "whatsappnumber",
        "contactnumber",
        "e164",
    ),
    "email": ("email", "emailaddress", "mail", "mailaddress", "email1", "email1value", "primaryemail"),
    "name": ("name", "fullname", "contactname", "displayname"),
    "first_name": ("firstname", "givenname", "forename", "first"),
    "last_name": ("lastname", "surname", "familyname", "last"),
    "country": ("country", "countrycode", "countryiso"),
    "stage": ("stage", "lifecyclestage"),
    "gender": ("gender", "sex"),
    "language": ("language", "lang", "locale"),
    "timezone": ("timezone", "tz"),
    "tags": ("tags", "tag", "labels", "label"),
    "external_id": ("externalid", "extid", "externalreference"),
    "instagram_id": ("instagramid",),
    "channel": ("channel",),
    "custom_channel": ("customchannel",),
    "chat_widget_id": ("chatwidgetid",),
    "current_campaign": ("currentcampaign",),
    "do_not_disturb": ("donotdisturb", "dnd"),
    "is_chat_window_open": ("ischatwindowopen",),
    "is_bot_active": ("isbotactive",),
    # JSON objects, as an export writes them.
    "current_campaign_data_json": ("currentcampaigndata",),
    "metadata_json": ("metadata",),
}
FIELDS = {synonym: field for field, synonyms in SYNONYMS.items() for synonym in synonyms}
IDENTITY = frozenset({"phone", "email", "external_id"})
# Of the file of failed rows: it can be mended and uploaded again as it is.
ERROR_TITLE = "carillon_error"
TITLE_CHARACTERS = 200


def field_of(title: str) -> str | None:
    """The field that a column's title means, or None."""
    return FIELDS.get(re.sub(r"[\W_]+", "", title).lower())


def known(titles: Sequence[str]) -> int:
    """How many of the titles mean a field."""
    return sum(field_of(title) is not None for title in titles)


def map_columns(titles: Sequence[str]) -> tuple[Column, ...]:
    """The first column that means a field is the field; every other titled one goes into the metadata."""
    columns: list[Column] = []
    used: set[str] = set()
    keys: set[str] = set()
    for title in (title.replace("\0", "").strip()[:TITLE_CHARACTERS] for title in titles):
        target = field_of(title)
        if title.lower() == ERROR_TITLE:
            target = ""
        elif target is None or target in used:
            # Two columns of one title would overwrite each other.
            target = "metadata" if title and title not in keys else ""
            keys.add(title)
        else:
            used.add(target)
        columns.append(Column(title, target))
    return tuple(columns)


def identifies(columns: Sequence[Column]) -> bool:
    """True where a row can say who it is about."""
    return any(column.target in IDENTITY for column in columns)
