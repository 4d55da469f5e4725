"""How the columns of an address book are titled, in the languages of those who keep them."""

import re
import unicodedata

# Field → titles: English; German; French; Spanish and Portuguese; Italian; Dutch; Turkish; Polish; Russian; Chinese;
# Japanese; Arabic. Written as they stand in files, compared as `folded`.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "phone": (
        *("phone", "phone number", "phone no", "phone 1", "Phone 1 - Value", "primary phone", "mobile", "mobile phone"),
        *("mobile number", "mobile no", "cell", "cellphone", "cell number", "tel", "telephone", "telephone number"),
        *("msisdn", "number", "whatsapp", "whatsapp number", "contact number", "e164"),
        *("Telefon", "Telefonnummer", "Telefonnr", "Tel.-Nr.", "Handy", "Handynummer", "Mobil", "Mobilnummer"),
        *("Mobiltelefon", "Mobilfunk", "Mobilfunknummer", "Rufnummer"),
        *(
            "Téléphone",
            "Téléphone portable",
            "Téléphone mobile",
            "Numéro de téléphone",
            "Numéro",
            "Portable",
            "N° de tél",
        ),
        *(
            "Teléfono",
            "Número de teléfono",
            "Nº de teléfono",
            "Teléfono móvil",
            "Móvil",
            "Celular",
            "Número de celular",
        ),
        *("Telefone", "Número de telefone", "Telemóvel", "Telefone celular"),
        *("Telefono", "Numero di telefono", "Cellulare", "Numero cellulare", "Telefono cellulare"),
        *("Telefoon", "Telefoonnummer", "Mobiel", "Mobiel nummer", "GSM"),
        *("Telefon numarası", "Telefon no", "Cep", "Cep telefonu", "Cep no", "GSM no"),
        *("Numer telefonu", "Nr telefonu", "Nr tel", "Telefon komórkowy", "Komórka"),
        *("Телефон", "Номер телефона", "Мобильный", "Мобильный телефон", "Моб. телефон", "Сотовый", "Номер"),
        *(
            "电话",
            "电话号码",
            "手机",
            "手机号",
            "手机号码",
            "联系电话",
            "電話",
            "電話號碼",
            "手機",
            "手機號碼",
            "行動電話",
        ),
        *("電話番号", "携帯", "携帯電話", "携帯番号", "携帯電話番号"),
        *("الهاتف", "هاتف", "رقم الهاتف", "الجوال", "جوال", "رقم الجوال", "الموبايل", "موبايل", "رقم الموبايل"),
    ),
    "email": (
        *("email", "email address", "mail", "mail address", "email 1", "E-mail 1 - Value", "primary email"),
        *("E-Mail-Adresse", "Mailadresse"),
        *("Courriel", "Adresse e-mail", "Adresse mail", "Adresse électronique", "Mél"),
        *("Correo", "Correo electrónico", "Dirección de correo", "Dirección de correo electrónico"),
        *("Correio eletrónico", "Endereço de e-mail"),
        *("Posta elettronica", "Indirizzo e-mail", "Indirizzo di posta elettronica"),
        *("E-mailadres", "Mailadres"),
        *("E-posta", "E-posta adresi", "Eposta"),
        *("Adres e-mail", "Poczta"),
        *("Эл. почта", "Электронная почта", "Почта", "Адрес электронной почты", "Имейл"),
        *("邮箱", "电子邮箱", "邮件", "电子邮件", "邮箱地址", "郵箱", "電子郵件", "電郵"),
        *("メール", "メールアドレス", "Eメール", "電子メール"),
        *("البريد", "البريد الإلكتروني", "بريد إلكتروني", "الإيميل", "ايميل"),
    ),
    "name": (
        *("name", "full name", "contact name", "display name"),
        *("Vollständiger Name", "Kontakt", "Kontaktname"),
        *("Nom", "Nom complet", "Nom et prénom"),
        *("Nombre", "Nombre completo", "Nombre y apellidos", "Nome", "Nome completo", "Nome e cognome", "Nominativo"),
        *("Naam", "Volledige naam"),
        *("Ad soyad", "Adı soyadı", "İsim"),
        *("Imię i nazwisko", "Nazwa"),
        *("ФИО", "Полное имя", "Имя и фамилия"),
        *("姓名", "名字", "名称", "联系人", "聯絡人"),
        *("氏名", "お名前", "名前"),
        *("الاسم", "الاسم الكامل", "اسم"),
    ),
    "first_name": (
        *("first name", "given name", "forename", "first"),
        *("Vorname", "Rufname", "Prénom", "Nombre de pila", "Primer nombre", "Primeiro nome", "Nome próprio"),
        *("Nome di battesimo", "Voornaam", "Ad", "Adı", "Imię", "Имя", "名", "الاسم الأول"),
    ),
    "last_name": (
        *("last name", "surname", "family name", "last"),
        *("Nachname", "Familienname", "Zuname", "Nom de famille", "Apellido", "Apellidos", "Sobrenome", "Apelido"),
        *("Último nome", "Cognome", "Achternaam", "Familienaam", "Soyad", "Soyadı", "Soyisim", "Nazwisko", "Фамилия"),
        *("姓", "姓氏", "苗字", "اسم العائلة", "الاسم الأخير", "اللقب"),
    ),
    "country": (
        *("country", "country code", "country iso"),
        *(
            "Land",
            "Länderkürzel",
            "Ländercode",
            "Pays",
            "Code pays",
            "País",
            "Código de país",
            "Código do país",
            "Paese",
        ),
        *("Nazione", "Landcode", "Ülke", "Ülke kodu", "Kraj", "Страна", "Код страны", "国家", "國家", "国", "国名"),
        *("الدولة", "البلد", "رمز الدولة"),
    ),
    "stage": ("stage", "lifecycle stage"),
    "gender": (
        *("gender", "sex"),
        *("Geschlecht", "Sexe", "Sexo", "Género", "Gênero", "Sesso", "Genere", "Geslacht", "Cinsiyet", "Płeć"),
        *("Пол", "性别", "性別", "الجنس"),
    ),
    "language": (
        *("language", "lang", "locale"),
        *(
            "Sprache",
            "Langue",
            "Idioma",
            "Língua",
            "Lingua",
            "Taal",
            "Dil",
            "Język",
            "Язык",
            "语言",
            "語言",
            "言語",
            "اللغة",
        ),
    ),
    "timezone": (
        "timezone",
        "time zone",
        "tz",
        "Zeitzone",
        "Fuseau horaire",
        "Zona horaria",
        "Fuso horário",
        "Tijdzone",
    ),
    "tags": (
        *("tags", "tag", "labels", "label"),
        *("Schlagworte", "Schlagwörter", "Etiketten", "Étiquettes", "Étiquette", "Mots-clés", "Etiquetas", "Etiqueta"),
        *("Etichette", "Etichetta", "Labels", "Etiketler", "Etiket", "Etykiety", "Etykieta", "Tagi", "Теги", "Тег"),
        *("Метки", "Метка", "标签", "標籤", "タグ", "ラベル", "الوسوم", "وسوم", "التصنيفات"),
    ),
    "external_id": ("external id", "ext id", "external reference"),
    "instagram_id": ("instagram id",),
    "channel": ("channel",),
    "custom_channel": ("custom channel",),
    "chat_widget_id": ("chat widget id",),
    "current_campaign": ("current campaign",),
    "do_not_disturb": ("do not disturb", "dnd"),
    "is_chat_window_open": ("is chat window open",),
    "is_bot_active": ("is bot active",),
    # JSON objects, as an export writes them.
    "current_campaign_data_json": ("current campaign data",),
    "metadata_json": ("metadata",),
}
# Titles that mean the whole name when they stand alone, and the other part where one of PARTS stands beside them:
# a German list has `Name, Vorname`, a Spanish one `Nombre, Apellidos`. An English one has `Name, First name`, in
# which the name is whole.
AMBIGUOUS = ("name", "Nom", "Nombre", "Nome", "Naam", "İsim", "名字")
ENGLISH_PARTS = ("first name", "given name", "forename", "first", "last name", "surname", "family name", "last")

# What the decomposition of Unicode leaves as it is.
PLAIN = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe"})


def folded(title: str) -> str:
    """Letters and digits alone, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", title.casefold()).translate(PLAIN)
    return re.sub(r"[\W_]+", "", "".join(sign for sign in decomposed if not unicodedata.combining(sign)))


FIELDS = {folded(synonym): field for field, synonyms in SYNONYMS.items() for synonym in synonyms}
WHOLE_OR_PART = frozenset(map(folded, AMBIGUOUS))
PARTS = {title: field for title, field in FIELDS.items() if field in ("first_name", "last_name")}
for part in map(folded, ENGLISH_PARTS):
    del PARTS[part]
OTHER_PART = {"first_name": "last_name", "last_name": "first_name"}


def field_of(title: str) -> str | None:
    """The field that a column's title means by itself, or None."""
    return FIELDS.get(folded(title))


def fields_of(titles: list[str]) -> list[str | None]:
    """The fields that the titles of a file mean beside one another."""
    fields = [field_of(title) for title in titles]
    given = {field for title in titles if (field := PARTS.get(folded(title)))}
    if len(given) == 1:
        other = OTHER_PART[given.pop()]
        for at, title in enumerate(titles):
            if folded(title) in WHOLE_OR_PART and other not in fields:
                fields[at] = other
    return fields
