"""Which column of a file is which field."""

import pytest

from services.contacts.imports import titles
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


@pytest.mark.parametrize(
    "titles",
    [
        ["Telefonnummer", "E-Mail", "Vorname", "Nachname", "Schlagwörter", "Land", "Geschlecht"],
        ["Téléphone portable", "Courriel", "Prénom", "Nom", "Étiquettes", "Pays", "Sexe"],
        ["Teléfono móvil", "Correo electrónico", "Nombre", "Apellidos", "Etiquetas", "País", "Género"],
        ["Telemóvel", "E-mail", "Nome", "Sobrenome", "Etiquetas", "País", "Gênero"],
        ["Cellulare", "Indirizzo e-mail", "Nome", "Cognome", "Etichette", "Paese", "Sesso"],
        ["Mobiel nummer", "E-mailadres", "Voornaam", "Achternaam", "Labels", "Land", "Geslacht"],
        ["Cep telefonu", "E-posta", "Adı", "Soyadı", "Etiketler", "Ülke", "Cinsiyet"],
        ["Nr telefonu", "Adres e-mail", "Imię", "Nazwisko", "Etykiety", "Kraj", "Płeć"],
        ["Телефон", "Эл. почта", "Имя", "Фамилия", "Теги", "Страна", "Пол"],
        ["手机号码", "电子邮箱", "名", "姓", "标签", "国家", "性别"],
        ["電話番号", "メールアドレス", "名", "姓", "タグ", "国", "性別"],
        ["رقم الجوال", "البريد الإلكتروني", "الاسم الأول", "اسم العائلة", "الوسوم", "الدولة", "الجنس"],
    ],
    ids=["de", "fr", "es", "pt", "it", "nl", "tr", "pl", "ru", "zh", "ja", "ar"],
)
def test_columns_in_the_languages_of_those_who_keep_them(titles):
    fields = ["phone", "email", "first_name", "last_name", "tags", "country", "gender"]
    assert [column.target for column in map_columns(titles)] == fields
    assert [column.target for column in map_columns([title.upper() for title in titles])] == fields
    assert [column.title for column in map_columns(titles)] == titles


@pytest.mark.parametrize(
    ("titles", "targets"),
    [
        (["Name", "Vorname"], ["last_name", "first_name"]),
        (["Name", "Telefon"], ["name", "phone"]),
        (["Nombre", "Teléfono"], ["name", "phone"]),
        (["Nombre", "Apellidos"], ["first_name", "last_name"]),
        (["Nome", "Cognome"], ["first_name", "last_name"]),
        (["Name", "First Name"], ["name", "first_name"]),
        (["Name", "Vorname", "Nachname"], ["name", "first_name", "last_name"]),
        (["姓名", "名"], ["name", "first_name"]),
    ],
)
def test_a_name_beside_one_part_is_the_other_part(titles, targets):
    assert [column.target for column in map_columns(titles)] == targets


def test_no_title_means_two_fields():
    seen: dict[str, str] = {}
    for field, synonyms in titles.SYNONYMS.items():
        for synonym in synonyms:
            assert titles.folded(synonym), synonym
            assert seen.setdefault(titles.folded(synonym), field) == field, synonym
    assert {titles.folded(title) for title in titles.AMBIGUOUS} <= seen.keys()
