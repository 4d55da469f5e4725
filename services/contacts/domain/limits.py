"""What a contact may be as large as. The same figures stand in the OpenAPI document."""

NAME_CHARACTERS = 200
# stage, gender, external_id and the other short texts.
TEXT_CHARACTERS = 200
EMAIL_CHARACTERS = 254
# Of what is sent as one, blanks and all.
SENT_EMAIL_CHARACTERS = 1_000
METADATA_BYTES = 16 * 1024
METADATA_LEVELS = 5
TAGS = 100
TAG_CHARACTERS = 64
BULK_DELETE_IDS = 1_000
MESSAGEABLE_TARGETS = 500
# Contacts that are read at once for who sends to them.
AUDIENCE_IDS = 500
REASON_CHARACTERS = 500
LISTS = 100
DESCRIPTION_CHARACTERS = 1_000
# Contacts changed by one call, by id, or at once where a filter names them.
BULK_IDS = 1_000
# Of evidence of consent.
SOURCE_CHARACTERS = 200
EVIDENCE_CHARACTERS = 2_000
# Of an entry of the timeline.
ACTIVITY_TYPE_CHARACTERS = 64
ACTIVITY_TEXT_CHARACTERS = 10_000
SEARCH_CHARACTERS = 200
# What recipients sent, told at once.
REPLIES = 100
