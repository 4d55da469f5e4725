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


def posting(word: str, args: Arguments, *, limit: str = "") -> str:
    """The contacts with the word, some of them twice. limit: of each range, as SQL."""
    selects = [
        "SELECT contact_id FROM search_words WHERE account_id = $1 "
        f"AND word >= {args.add(start)} AND word < {args.add(start + LAST_CHARACTER)}{limit}"
        for start in beginnings(word)
    ]
    return " UNION ALL ".join(f"({select})" for select in selects)


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
