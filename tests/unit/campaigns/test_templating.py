"""Liquid within limits."""

import pytest

from services.campaigns.templating import TemplateError, Text


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
    ],
)
def test_limits_hold_while_rendering(body: str) -> None:
    with pytest.raises(TemplateError):
        Text(body, None).render({})


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
