"""How text is compared: folded once, when it is written, so that every evaluator sees the same bytes.

Folding is Unicode's canonical caseless match (Unicode 15, D145): decompose, fold the case in full (`ß` is `ss`),
compose. It is done here only; Postgres compares the result byte by byte, under `COLLATE "C"`, and folds nothing.
No language's own rules apply: a Turkish `İ` folds as Unicode has it, `i` with a dot above.
"""

from unicodedata import normalize


def fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold())
