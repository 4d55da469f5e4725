"""What a reply says of the channel: nothing, or that its sender wants no more of it, or wants it again.

The whole body counts, once it is normalised: a word that merely occurs in a sentence decides nothing, so that "don't
stop" opts nobody out. The lists, with the languages, are in docs/opt-outs.md; a test holds the two together.
"""

import unicodedata
from enum import StrEnum

# A word of the lists has at most so many characters; a longer body is a letter.
MAX_BODY = 160


class Word(StrEnum):
    NONE = ""
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"


# By language, as people write them; `normalise` makes one form of cases, accents and punctuation. What somebody might
# well answer in another language to a question is in no list: the Finnish "seis" (the Spanish six), the Swahili "acha"
# (the Hindi okay), the Vietnamese "hủy" (a first name), the Chinese "T" (true).
OPT_OUT: dict[str, tuple[str, ...]] = {
    "English": (
        "stop", "stop all", "stopall", "unsubscribe", "unsubscribe me", "cancel", "end", "quit", "opt out", "optout",
        "opt-out", "revoke", "remove", "remove me", "please stop", "stop please",
    ),
    "French": ("arrêt", "arrêter", "arrêtez", "désabonner", "désabonnement", "désinscription", "désinscrire"),
    "Spanish": ("alto", "baja", "dar de baja", "darme de baja", "cancelar", "parar", "detener"),
    "Portuguese": ("pare", "parar", "sair", "cancelar", "descadastrar", "remover"),
    "German": ("stopp", "abmelden", "abbestellen", "austragen", "kündigen"),
    "Italian": ("ferma", "basta", "cancellami", "disiscrivimi", "annulla", "cancella"),
    "Dutch": ("afmelden", "uitschrijven", "stoppen"),
    "Polish": ("wypisz", "wypisz mnie", "rezygnuję", "zatrzymaj"),
    "Czech and Slovak": ("odhlásit", "odhlásiť", "zrušit", "zrušiť"),
    "Swedish": ("avsluta", "avregistrera", "avanmäl", "stoppa"),
    "Danish and Norwegian": ("afmeld", "frameld", "avmeld", "meld av", "avslutt"),
    "Finnish": ("lopeta", "peruuta"),
    "Romanian": ("dezabonare", "renunț", "oprește"),
    "Hungarian": ("leiratkozás", "leiratkozom", "állj"),
    "Greek": ("διακοπή", "διαγραφή", "σταμάτα"),
    "Turkish": ("iptal", "durdur", "ret"),
    "Russian": ("стоп", "отписаться", "отписка", "отмена", "отпишите"),
    "Ukrainian": ("відписатися", "відписка", "скасувати"),
    "Arabic": ("توقف", "إيقاف", "ايقاف", "إلغاء", "الغاء", "إلغاء الاشتراك", "قف"),
    "Hebrew": ("הסר", "הסירו", "עצור", "הפסק"),
    "Persian": ("لغو", "توقف"),
    "Hindi": ("बंद", "बंद करो", "बंद करें", "रोकें", "रोको", "स्टॉप"),
    "Bengali": ("বন্ধ", "বন্ধ করুন"),
    "Urdu": ("بند", "بند کریں"),
    "Indonesian and Malay": ("berhenti", "batal", "henti"),
    "Filipino": ("tigil", "itigil"),
    "Vietnamese": ("dừng", "ngừng"),
    "Thai": ("หยุด", "ยกเลิก", "เลิกรับ"),
    "Chinese": ("停止", "退订", "退訂", "取消", "取消订阅", "取消訂閱", "td"),
    "Japanese": ("停止", "配信停止", "解除", "ストップ", "退会"),
    "Korean": ("중지", "수신거부", "정지", "그만", "해지"),
    "Swahili": ("simama", "sitisha"),
    "Afrikaans": ("staak",),
}  # fmt: skip
OPT_IN: dict[str, tuple[str, ...]] = {
    "English": ("start", "unstop", "un-stop", "subscribe", "resubscribe", "opt in", "optin", "opt-in", "resume"),
    "French": ("commencer", "démarrer", "réabonner", "réinscrire", "réinscription"),
    "Spanish": ("alta", "dar de alta", "comenzar", "empezar", "iniciar", "suscribir", "suscribirme"),
    "Portuguese": ("começar", "iniciar", "inscrever", "reinscrever"),
    "German": ("anmelden", "starten", "beginnen"),
    "Italian": ("inizia", "iscrivimi", "iscriviti", "riprendi"),
    "Dutch": ("aanmelden", "inschrijven"),
    "Polish": ("zapisz", "zapisz mnie", "wznów"),
    "Czech and Slovak": ("přihlásit", "prihlásiť"),
    "Swedish": ("starta", "anmäl"),
    "Danish and Norwegian": ("tilmeld", "påmeld", "meld på"),
    "Finnish": ("aloita", "tilaa"),
    "Romanian": ("abonare", "începe"),
    "Hungarian": ("feliratkozás", "feliratkozom"),
    "Greek": ("έναρξη", "εγγραφή"),
    "Turkish": ("başla", "başlat"),
    "Russian": ("старт", "подписаться", "начать", "возобновить"),
    "Ukrainian": ("підписатися", "почати"),
    "Arabic": ("ابدأ", "ابدا", "بدء", "اشتراك"),
    "Hebrew": ("התחל", "הצטרף"),
    "Persian": ("شروع",),
    "Hindi": ("शुरू", "शुरू करें", "स्टार्ट"),
    "Bengali": ("শুরু", "শুরু করুন"),
    "Urdu": ("شروع", "شروع کریں"),
    "Indonesian and Malay": ("mulai", "langganan"),
    "Filipino": ("simula", "simulan"),
    "Vietnamese": ("bắt đầu", "đăng ký"),
    "Thai": ("เริ่ม", "สมัคร"),
    "Chinese": ("开始", "開始", "订阅", "訂閱", "恢复", "恢復"),
    "Japanese": ("開始", "再開", "スタート"),
    "Korean": ("시작", "수신동의", "재개"),
    "Swahili": ("anza", "jiunge"),
    "Afrikaans": ("begin",),
}  # fmt: skip


def normalise(text: str) -> str:
    """One form of a body: width, case, accents, punctuation, symbols and spaces make no difference.

    Of letters only what Latin, Greek and Cyrillic put above or below them goes; the signs of other scripts are
    letters of theirs. Punctuation is a space, so that `S.T.O.P` is no word and `opt-out` is two.
    """
    # Compatibility: full width to half width; decomposed: accents stand alone.
    spread = unicodedata.normalize("NFKD", text.casefold())
    kept: list[str] = []
    base = ""
    for char in spread:
        kind = unicodedata.category(char)
        if kind == "Mn" and is_european(base):
            continue
        if kind[0] in "LN" or kind in ("Mn", "Mc"):
            kept.append(char)
            base = char if kind[0] == "L" else base
        # Apostrophes join ("don't"), and what cannot be seen is nothing.
        elif char not in "'’ʼ`" and kind not in ("Cf", "Sk"):
            kept.append(" ")
    # Casefolded again: decomposing may uncover a letter that has a case.
    return " ".join(unicodedata.normalize("NFC", "".join(kept).casefold()).replace("ı", "i").split())


def is_european(char: str) -> bool:
    """Latin, Greek and Cyrillic letters."""
    return char < "\u0530" or "\u1d00" <= char <= "\u1fff"


OPT_OUT_WORDS = frozenset(normalise(word) for words in OPT_OUT.values() for word in words)
OPT_IN_WORDS = frozenset(normalise(word) for words in OPT_IN.values() for word in words)


def meaning(body: str) -> Word:
    if len(body) > MAX_BODY:
        return Word.NONE
    said = normalise(body)
    if said in OPT_OUT_WORDS:
        return Word.OPT_OUT
    return Word.OPT_IN if said in OPT_IN_WORDS else Word.NONE
