"""SQL over the search index. Ranges of words, because LIKE does not use an index under row-level security."""

from collections.abc import Iterable, Sequence

from chassis.db import ReadTx
from chassis.ids import AccountId
from services.contacts.arguments import Arguments
from services.contacts.domain.search import Search, beginnings

# Above every character of a word.
LAST_CHARACTER = "\U0010ffff"
# The longest words of a reading; the others only narrow what these find.
COUNTED_WORDS = 6
# From one word to the next, whatever lies between them. $2 and $3: from where, and below what; $4: how many at most.
DISTINCT = """
WITH RECURSIVE found AS (
    (SELECT word, 1 AS number FROM search_words
    WHERE account_id = $1 AND word >= $2 AND word < $3 ORDER BY word LIMIT 1)
    UNION ALL
    SELECT following.word, found.number + 1 FROM found, LATERAL (
        SELECT word FROM search_words WHERE account_id = $1 AND word > found.word AND word < $3 ORDER BY word LIMIT 1
    ) AS following WHERE found.number < $4
)
SELECT word FROM found
"""


def posting(word: str, args: Arguments, *, limit: str = "") -> str:
    """The contacts with the word, some of them twice. limit: of each range, as SQL."""
    selects = [
        "SELECT contact_id FROM search_words WHERE account_id = $1 "
        f"AND word >= {args.add(start)} AND word < {args.add(start + LAST_CHARACTER)}{limit}"
        for start in beginnings(word)
    ]
    return " UNION ALL ".join(f"({select})" for select in selects)


async def distinct(tx: ReadTx, account: AccountId, search: Search, *, most: int) -> list[str] | None:
    """The kept words that begin as a word of the search does; None where they are more than `most`."""
    words: list[str] = []
    for word in dict.fromkeys(word for reading in search.readings for word in reading):
        for start in beginnings(word):
            rows = await tx.fetch(DISTINCT, account, start, start + LAST_CHARACTER, most + 1 - len(words))
            words += [row[0] for row in rows]
            if len(words) > most:
                return None
    return words


def heads(words: Sequence[str], args: Arguments, *, behind: str, order: str, limit: int) -> str:
    """The first contacts of each word, some of them twice. behind, order: as SQL, by contact_id, the order of a word's
    postings."""
    return (
        f"SELECT first.contact_id FROM unnest({args.add(words)}::text[]) AS w(word), LATERAL (SELECT contact_id "
        f'FROM search_words AS s WHERE s.account_id = $1 AND s.word = w.word COLLATE "C"{behind} '
        f"ORDER BY contact_id {order} LIMIT {args.add(limit)}) AS first"
    )


def counted(reading: Sequence[str]) -> list[str]:
    return sorted(reading, key=len, reverse=True)[:COUNTED_WORDS]


async def counts(tx: ReadTx, account: AccountId, search: Search, *, cap: int) -> dict[str, int]:
    """How many times each counted word occurs, exact up to `cap`."""
    words = list(dict.fromkeys(word for reading in search.readings for word in counted(reading)))
    args = Arguments([account])
    each = [f"(SELECT count(*) FROM ({posting(word, args, limit=f' LIMIT {cap + 1}')}) AS few)" for word in words]
    row = await tx.fetchrow(f"SELECT {', '.join(each)}", *args)
    assert row is not None
    return dict(zip(words, row, strict=True))


def found(chosen: Iterable[Sequence[str]], args: Arguments) -> str:
    """The contacts that have all words of one of the groups, some of them twice."""
    groups = [" INTERSECT ".join(f"({posting(word, args)})" for word in group) for group in chosen]
    return " UNION ALL ".join(f"({group})" for group in groups)


def text_condition(search: Search, args: Arguments) -> str:
    """On `search_entries AS s`: exact, as far as the index knows the contact."""

    def word_condition(word: str) -> str:
        return " OR ".join(f"strpos(s.text, {args.add(' ' + start)}) > 0" for start in beginnings(word))

    readings = [" AND ".join(f"({word_condition(word)})" for word in reading) for reading in search.readings]
    return " OR ".join(f"({reading})" for reading in readings)
