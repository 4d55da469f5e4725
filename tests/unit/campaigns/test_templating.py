"""Liquid within limits."""

import pytest

from services.campaigns.domain.content import WhatsApp
from services.campaigns.templating import ENVIRONMENT, MissingVariable, TemplateError, Text


def test_renders_with_defaults() -> None:
    text = Text("Hi {{ name | default: 'you' }}: {{ code }}", "For {{ name | default: 'you' }}")
    assert text.variables == ["code", "name"]
    message = text.render({"name": "Ann", "code": "X"})
    assert (message.text, message.subject) == ("Hi Ann: X", "For Ann")
    assert text.render({"name": "", "code": 0}).text == "Hi you: 0"


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


@pytest.mark.parametrize(
    ("body", "variables", "missing"),
    [
        ("{{ code }}", {}, ["code"]),
        ("{{ code }}", {"code": None}, ["code"]),
        ("{{ code }}", {"code": " "}, ["code"]),
        ("{{ code | upcase }}", {}, ["code"]),
        ("{{ metadata.plan.name }}", {"metadata": {"plan": {}}}, ["metadata.plan.name"]),
        ("{{ b }}{{ a }}{{ b }}", {}, ["b", "a"]),
        ("{% echo code %}", {}, ["code"]),
        ("{% if vip %}{{ gift }}{% endif %}", {"vip": True}, ["gift"]),
        # By another name it is missing all the same.
        ("{% assign a = code %}{{ a }}", {}, ["code"]),
        ("{% assign a = metadata.code | upcase %}{{ a }}", {"metadata": {}}, ["metadata.code"]),
        ("{% assign a = code %}{% assign b = a | append: '!' %}{{ b }}{{ a }}", {}, ["code"]),
        ("{% capture a %}{{ code }}{% endcapture %}{{ a }}", {}, ["code"]),
        # A default, a test, a name of the template's own: none of them leaves a hole.
        ("{{ code | default: 'x' }}", {}, []),
        ("{{ code | upcase | default: '' }}", {}, []),
        ("{% if vip %}{{ gift }}{% endif %}", {}, []),
        ("{% if name != blank %}Hi {{ name }}{% endif %}", {"name": ""}, []),
        ("{% assign a = '' %}{{ a }}", {}, []),
        ("{% assign a = code | default: 'x' %}{{ a }}", {}, []),
        ("{% assign a = code %}{{ a | default: 'x' }}", {}, []),
        ("{% assign a = code %}{% if a %}{{ a }}{% endif %}", {}, []),
        ("{% assign a = code %}{% assign a = 'x' %}{{ a }}", {}, []),
        ("{% assign a = code %}{% capture a %}x{% endcapture %}{{ a }}", {}, []),
        ("{% assign a = code %}{% for a in items %}{{ a }}{% endfor %}", {"items": ["x"]}, []),
        ("{% assign a = code %}{{ a }}", {"code": "x"}, []),
        ("{% for item in items %}{{ item }}{% endfor %}", {"items": [""]}, []),
        ("{{ zero }}{{ no }}", {"zero": 0, "no": False}, []),
        ("{{ 'x' | append: '' }}", {}, []),
    ],
)
def test_what_is_printed_and_missing(body: str, variables: dict[str, object], missing: list[str]) -> None:
    text = Text(body)
    assert text.preview(variables)[1] == missing
    if missing:
        with pytest.raises(MissingVariable) as caught:
            text.render(variables)
        assert (caught.value.name, caught.value.reason) == (missing[0], f"missing_variable:{missing[0]}")
    else:
        text.render(variables)


def test_html_escapes_what_variables_hold() -> None:
    text = Text("{{ name }}", "{{ name }}", html="<p>{{ name }} {{ name | upcase }} {{ bold | safe }}</p>")
    message = text.render({"name": "<i>&\n", "bold": "<b>"})
    assert message.html == "<p>&lt;i&gt;&amp;\n &lt;I&gt;&amp;\n <b></p>"
    # The text is text, and a subject is one line.
    assert (message.text, message.subject) == ("<i>&\n", "<i>&")


def test_whatsapp_parameters_are_filled_in_order() -> None:
    whatsapp = WhatsApp("order_update", "pt_BR", ("{{ name }}", "{{ code | default: 'none' }}"))
    text = Text("Oi {{ name }}", whatsapp=whatsapp)
    assert text.variables == ["code", "name"]
    template = text.render({"name": "Ana\n  Maria"}).template
    assert template is not None
    assert (template.name, template.language, template.parameters) == ("order_update", "pt_BR", ("Ana Maria", "none"))
    assert text.preview({})[1] == ["name"]


def test_the_parts_of_a_message_share_its_work() -> None:
    dear = "{% for i in (1..900) %}{% if i == 0 %}" + "{{ 'x' | upcase }}" * 6 + "{% endif %}{% endfor %}"
    Text(dear).render({})
    with pytest.raises(TemplateError) as caught:
        Text(dear, html=dear).render({})
    assert caught.value.over_limits


def test_the_unsubscribe_link_is_given_and_not_asked_for() -> None:
    assert Text("{{ unsubscribe_url }} {{ name }}").variables == ["name"]
