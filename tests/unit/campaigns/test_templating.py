"""Liquid within limits."""

import pytest

from services.campaigns.templating import ENVIRONMENT, TemplateError, Text


def test_renders_with_defaults() -> None:
    text = Text("Hi {{ name | default: 'you' }}: {{ code }}{{ nothing }}", "For {{ name }}")
    assert text.variables == ["code", "name", "nothing"]
    message = text.render({"name": "Ann", "code": "X"})
    assert (message.text, message.subject) == ("Hi Ann: X", "For Ann")
    assert text.render({"name": ""}).text == "Hi you: "


def test_variables_are_the_roots_that_come_from_outside() -> None:
    text = Text("{% assign z = q %}{{ z }}{{ metadata.plan.name }}{% for t in tags %}{{ t }}{% endfor %}", None)
    assert text.variables == ["metadata", "q", "tags"]


@pytest.mark.parametrize(
    "body",
    [
        "{% for i in (1..100000000) %}x{% endfor %}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}x{% endfor %}{% endfor %}",
        "{% assign a = 'xxxxxxxxxxxxxxxx' %}{% for i in (1..64) %}{% assign a = a | append: a %}{% endfor %}",
        "{% for i in (1..9999) %}" + "x" * 100 + "{% endfor %}",
        "{{ 1 | divided_by: 0 }}",
        # Each would take gigabytes, or minutes.
        "{% assign a = '" + "x" * 1900 + "' %}{{ a | replace: '', a | replace: '', a }}",
        "{% assign a = 'x' %}{% for i in (1..40) %}{% assign a = a | prepend: a %}{% endfor %}",
        "{% assign a = 'x' | split: ',' %}{% for i in (1..40) %}{% assign a = a | concat: a %}{% endfor %}",
        "{{ (1..100000000) | join: 'x' }}",
        "{% for i in (1..100000000) reversed %}{% endfor %}",
        "{% for i in (1..100000000) limit: 1 offset: 99999999 %}{% endfor %}",
        "{% assign a = 9 %}{% for i in (1..60) %}{% assign a = a | times: a %}{% endfor %}",
        "{% for i in (1..1000) %}{% if false %}{% endif %}{% endfor %}" * 900,
        "{{ x | split: '' | uniq | size }}" * 100,
        "{{ '99999999999999999999' | date: '%Y' }}",
    ],
)
def test_limits_hold_while_rendering(body: str) -> None:
    with pytest.raises(TemplateError):
        Text(body, None).render({"x": "".join(chr(300 + number) for number in range(2000))})


@pytest.mark.parametrize("error", [OSError, IndexError, KeyError, OverflowError])
def test_whatever_a_filter_raises_is_a_template_error(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def broken(_: object) -> str:
        raise error("broken")

    monkeypatch.setitem(ENVIRONMENT.filters, "upcase", broken)
    with pytest.raises(TemplateError):
        Text("{{ 'a' | upcase }}", None).render({})


def test_an_ordinary_long_mail_is_within_the_limits() -> None:
    row = "<tr><td>{{ item.name | escape }}</td><td>{{ item.price | times: 2 | round: 2 }}</td></tr>"
    body = "<p>text</p>" * 3000 + "{% for item in items %}" + row + "{% endfor %}{{ 'now' | date: '%Y' }}"
    text = Text(body, None)
    text.try_out()
    rendered = text.render({"items": [{"name": "a&b", "price": price} for price in range(200)]}).text
    assert "<td>a&amp;b</td><td>398</td>" in rendered


@pytest.mark.parametrize(
    "body",
    [
        "{{" * 32_000,
        "{% raw %}" * 7_000,
        "{{" + " " * 60_000 + "}}",
        "{% assign" + " " * 60_000 + "%}",
        "{% if " + "(" * 30_000 + "a" + ")" * 30_000 + " %}{% endif %}",
        "{{ " + "a[" * 15_000 + "1" + "]" * 15_000 + " }}",
    ],
)
def test_what_the_parser_would_take_minutes_for_is_refused(body: str) -> None:
    with pytest.raises(TemplateError):
        Text(body, None)


def test_only_what_is_over_the_limits_fails_the_trial() -> None:
    Text("{{ 1 | divided_by: missing }}", None).try_out()
    with pytest.raises(TemplateError):
        Text("{% for i in (1..2000) %}x{% endfor %}", None).try_out()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("a\n{{ b | nofilter }}", 2),
        ("a\n\n{% if %}{% endif %}", 3),
        ("{% render 'x' %}", 1),
        ("{% include 'x' %}", 1),
        ("ok\n{{ a", 2),
        ("{% if a %}" * 1000, 1),
    ],
)
def test_what_does_not_parse_says_the_line(body: str, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        Text(body, None)
    assert caught.value.line == line
