"""STOP, START and their equals: the whole body, and nothing but."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.opt_words import (
    OPT_IN,
    OPT_IN_WORDS,
    OPT_OUT,
    OPT_OUT_WORDS,
    Word,
    meaning,
    normalise,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "opt-outs.md"
every_word = st.sampled_from(sorted(word for words in (*OPT_OUT.values(), *OPT_IN.values()) for word in words))


@pytest.mark.parametrize(
    "body",
    ["STOP", "stop", " Stop. ", "STOP!!!", "«stop»", "ＳＴＯＰ", "sto\u00adp", "STOP 😀", "Stop\n", "Arrêt", "ARRET",
     "arre\u0302t", "BAJA", "СТОП", "стоп!", "停止", "退订", "退訂", "TD", "ｽﾄｯﾌﾟ", "수신거부", "إلغاء", "הסר", "बंद करो",
     "หยุด", "DỪNG", "Διακοπή", "ΔΙΑΚΟΠΗ", "İPTAL", "IPTAL", "Kündigen", "opt-out", "Opt Out", "UNSUBSCRIBE", "RET"],
)  # fmt: skip
def test_a_word_alone_opts_out(body: str) -> None:
    assert meaning(body) is Word.OPT_OUT


@pytest.mark.parametrize("body", ["START", "start.", "UNSTOP", "Subscribe!", "ALTA", "старт", "开始", "시작"])
def test_a_word_alone_opts_in(body: str) -> None:
    assert meaning(body) is Word.OPT_IN


@pytest.mark.parametrize(
    "body",
    ["don't stop", "Don’t STOP!", "never stop", "stop it, you're making me blush", "bus stop", "stop 123", "S.T.O.P",
     "I want to cancel my order", "starting", "stopwatch", "stop start", "", " ", "?", "no", "yes", "ok", "acha",
     "seis", "fin", "Huy", "T", "STOP " * 40],
)  # fmt: skip
def test_what_merely_holds_a_word_says_nothing(body: str) -> None:
    assert meaning(body) is Word.NONE


def test_no_word_means_both() -> None:
    assert not OPT_OUT_WORDS & OPT_IN_WORDS
    assert "" not in OPT_OUT_WORDS | OPT_IN_WORDS


@given(
    every_word, st.sampled_from([str.upper, str.lower, str.title, str.swapcase]), st.sampled_from(" .!?…\n\t'\u200b")
)
def test_case_and_what_surrounds_a_word_make_no_difference(word: str, cased: object, around: str) -> None:
    expected = meaning(word)
    assert expected is not Word.NONE
    assert meaning(around + word + around) is expected
    # Cases of German, Greek and Turkish letters do not all come back; the word itself does.
    assert meaning(cased(word).casefold()) in (expected, meaning(normalise(cased(word))))  # type: ignore[operator]


@given(st.text(max_size=300))
def test_normal_stays_normal(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(every_word, st.text("abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=8))
def test_another_word_beside_it_makes_it_a_sentence(word: str, other: str) -> None:
    said = f"{word} {other}"
    assert (meaning(said) is Word.NONE) == (normalise(said) not in OPT_OUT_WORDS | OPT_IN_WORDS)
    assert meaning(f"{word} xq{other}qx") is Word.NONE


def test_the_page_lists_every_word() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    listed = {language: (outs, ins) for language, outs, ins in rows if language in OPT_OUT}
    for language, words in OPT_OUT.items():
        assert listed[language] == (", ".join(words), ", ".join(OPT_IN.get(language, ())))
