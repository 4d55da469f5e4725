"""Which column of a file is which field."""

from services.contacts.imports.columns import map_columns


def test_columns_by_their_usual_names():
    titles = ["Mobile Number", "E-Mail", "Full Name", "phone", "City", "", "city", "City", "Tags", "External_ID"]
    assert [(column.title, column.target) for column in map_columns(titles)] == [
        ("Mobile Number", "phone"),
        ("E-Mail", "email"),
        ("Full Name", "name"),
        ("phone", "metadata"),
        ("City", "metadata"),
        ("", ""),
        ("city", "metadata"),
        ("City", ""),
        ("Tags", "tags"),
        ("External_ID", "external_id"),
    ]
