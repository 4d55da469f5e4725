"""A contact as cells of text, made by the database: the columns are those that an import takes.

Cells that begin like a formula are marked (domain.cells). A phone is left alone: + and up to 15 digits is a number at
worst.
"""

from collections.abc import Mapping

from services.contacts.domain.cells import MARKED, OPTOUTS_TITLE

CODES = ", ".join(str(ord(character)) for character in MARKED)


def neutral(text: str) -> str:
    """SQL of a text that no spreadsheet calculates."""
    return f"CASE WHEN ascii({text}) IN ({CODES}) THEN '''' || {text} ELSE {text} END"


# As imports read a cell of tags: commas between them, quotes around those that hold a comma or a quote.
TAGS = """
CASE WHEN array_to_string(c.tags, '') ~ '[",\n\r]' THEN (
    SELECT string_agg(
        CASE WHEN tag ~ '[",\n\r]' THEN '"' || replace(tag, '"', '""') || '"' ELSE tag END, ',' ORDER BY at
    )
    FROM unnest(c.tags) WITH ORDINALITY AS given(tag, at)
) ELSE array_to_string(c.tags, ',') END
"""
TEXTS = (
    "email",
    "first_name",
    "last_name",
    "country",
    "stage",
    "gender",
    "language",
    "timezone",
    "external_id",
    "instagram_id",
    "channel",
    "custom_channel",
    "chat_widget_id",
    "current_campaign",
)
# Title → SQL over a row `c` of contacts and its `tagged.cell`.
CELLS = {
    "phone": "c.phone",
    **{name: neutral(f"c.{name}") for name in TEXTS},
    "country": "coalesce(c.given_country, c.phone_country)",
    "tags": neutral("tagged.cell"),
    "is_chat_window_open": "c.is_chat_window_open::text",
    "is_bot_active": "c.is_bot_active::text",
    "do_not_disturb": "c.do_not_disturb::text",
    "current_campaign_data": "c.current_campaign_data::text",
    "metadata": "nullif(c.metadata::text, '{}')",
}
# Of opt-outs: which channels; an import takes no notice of it.
WITH_OPTOUTS = {
    **CELLS,
    OPTOUTS_TITLE: """(
        SELECT string_agg(said.key, ',' ORDER BY said.key) FROM jsonb_each_text(c.preferences) AS said
        WHERE said.value = 'opted_out'
    )""",
}


def query(contacts: str, cells: Mapping[str, str]) -> str:
    """The cells of each contact, newest first. contacts: SQL that selects their columns."""
    return (
        f"SELECT {', '.join(cells.values())} FROM ({contacts}) AS c, LATERAL (SELECT {TAGS} AS cell) AS tagged "
        "ORDER BY c.id DESC"
    )
