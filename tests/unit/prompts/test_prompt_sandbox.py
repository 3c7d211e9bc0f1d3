"""A template reaches nothing, stays within its bounds, and never hides that it was refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import Prompty
from surefoot.prompts.loading import parse


def prompty(text: str) -> Prompty:
    return Prompty(parse(text, Path("a.prompty")))


def render(text: str, **inputs: object) -> str:
    return prompty(text).render(**inputs)


@dataclass
class Thing:
    name: str = "thing"
    deleted: bool = False

    def delete(self) -> str:
        self.deleted = True
        return "gone"


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.__class__ }}",
        "{{ x['__class__'] }}",
        "{{ x.__class__ | default('quiet') }}",
        "{% if x.__class__ is defined %}a{% else %}b{% endif %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ [x] | map(attribute='__class__') | list }}",
        "{{ [x] | join(attribute='__class__') }}",
        "{{ [x] | groupby('__class__') }}",
        "{{ x.delete() }}",
        "{{ x.delete.__globals__ }}",
        "{{ f.__globals__ }}",
        "{{ f() }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ '{x.__class__}'.format_map({'x': x}) }}",
        "{{ items.append(1) }}",
        "{{ items.clear() }}",
        "{{ table.update({'a': 1}) }}",
        "{{ table.pop('a') }}",
        "{{ self.__init__.__globals__ }}",
        "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
        "{% for a in items %}{{ loop.__init__ }}{% endfor %}",
        "{{ error.__traceback__ }}",
    ],
)
@pytest.mark.attack("web-13")
def test_an_escape_is_refused_with_an_error(template: str) -> None:
    thing, items, table = Thing(), [1], {"a": 1}
    prompt = prompty("\n\n" + template)
    given = {"x": thing, "f": lambda: 1, "items": items, "table": table, "error": ValueError("e")}
    with pytest.raises(PromptError, match=r"a\.prompty:3: .*(out of reach|cannot be called)"):
        prompt.render(**{name: value for name, value in given.items() if _takes(prompt, name)})
    assert (thing.deleted, items, table) == (False, [1], {"a": 1})


@pytest.mark.parametrize("name", ["range", "lipsum", "cycler", "joiner", "namespace", "dict"])
def test_there_are_no_globals(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' is undefined"):
        render(f"{{{{ {name}(3) }}}}")


@pytest.mark.parametrize("name", ["attr", "random", "pprint", "xmlattr", "urlize"])
def test_filters_that_reach_out_or_vary_are_not_there(name: str) -> None:
    with pytest.raises(PromptError, match=f"No filter named '{name}'"):
        prompty(f"{{{{ [1] | {name} }}}}")


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**8 }}",
        "{{ 10**8 * 'a' }}",
        "{{ ['a'] * 10**8 }}",
        "{{ 9**(9**9) }}",
        "{{ 2**4000 * 2**4000 }}",
        "{{ 'a' | center(10**9) }}",
        "{{ 'a\nb' | indent(10**9) }}",
        "{{ 'a b' | wordwrap(1, wrapstring='x' * 10**7) * 9 }}",
        "{{ [1] | batch(10**9, 'x') | list }}",
        "{{ [1] | slice(10**9) | list }}",
        "{{ [1] | tojson(indent=10**9) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ 'a'.ljust(10**9) }}",
        "{{ 'a'.zfill(10**9) }}",
        "{{ '\t'.expandtabs(10**9) }}",
        "{{ ('a' * 10**5).replace('a', 'a' * 10**5) }}",
        "{{ ('a' * 10**5) | replace('a', 'a' * 10**5) }}",
        "{{ ('a' * 10**5) | replace('', 'a' * 10**5) }}",
        "{{ ('a' * 10**4).join(('b' * 10**4) | list) }}",
        "{{ ('b' * 10**4) | join('a' * 10**4) }}",
        "{{ day.strftime('%1000000000Y') }}",
        "{% set a = 'x' * 10**6 %}" + "".join(f"{{% set b{n} = a ~ a ~ a %}}" for n in range(10)),
        "{% set a0 = 'xxxxxxxx' %}" + "".join(f"{{% set a{n + 1} = a{n} ~ a{n} %}}" for n in range(40)),
        "{% set a0 = 'xxxxxxxx' %}" + "".join(f"{{% set a{n + 1} = a{n} + a{n} %}}" for n in range(40)),
        "{% set a0 = 'xxxxxxxx' %}"
        + "".join(f"{{% set a{n + 1} %}}{{{{ a{n} }}}}{{{{ a{n} }}}}{{% endset %}}" for n in range(40)),
        "{% set a0 = ['x'] %}"
        + "".join(f"{{% set a{n + 1} = [a{n}, a{n}] %}}" for n in range(60))
        + "{{ a60 }}",
        "{% set a0 = ['x'] %}"
        + "".join(f"{{% set a{n + 1} = a{n} + a{n} %}}" for n in range(60))
        + "{{ a60 }}",
        "{% set a0 = {'k': 1} %}"
        + "".join(f"{{% set a{n + 1} = {{'l': a{n}, 'r': a{n}}} %}}" for n in range(60)),
        "{% for a in xs %}{% for b in xs %}{% for c in xs %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in xs %}{% for b in xs %}{{ 'some words again and again' * 9 }}{% endfor %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in tree recursive %}{% if loop.depth < 9 %}{{ loop(tree) }}{% endif %}{% endfor %}",
        "{{ 1.5 | round(10**9, 'ceil') }}",
        "{{ ('%(a)s' * 1000) % {'a': 'x' * 10**6} }}",
        "{{ '%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s' | format(a='x' * 4000000) }}",
        "{% set a0 = 'xxxxxxxx' %}"
        + "".join(f"{{% set a{n + 1} = '%s%s' % (a{n}, a{n}) %}}" for n in range(40)),
        "{{ [[[[1] * 100] * 100] * 10] | tojson(indent=1000) }}",
        "{{ ('a\n' * 10**6) | indent(1000) }}",
        "{{ ('x' * 10**6) | wordwrap(1) }}",
        "{{ ('a b ' * 10**6) | wordwrap(10) }}",
        "{{ ('<!---->' * 10**5) | striptags }}",
        "{{ xs | map('list') | list | sum(start=[]) }}",
        "{{ ('x' * 4000000) | list | length }}",
        "{% for a in xs %}{% if 'zz' in big %}{% endif %}{% endfor %}",
        "{% for a in xs %}{% if big == big ~ '' %}{% endif %}{% endfor %}",
        "{% for a in xs %}{% set c = big[1:] %}{% endfor %}",
        "{% for a in xs %}{% if big is lower %}{% endif %}{% endfor %}",
        "{% for a in xs %}{% set c = big.split('z') %}{% endfor %}",
        "{% for a in xs %}{% set c = many | sort %}{% endfor %}",
        "{% for a in xs %}{{ loop.changed(many) }}{% endfor %}",
        "{% for a in xs %}{{ many }}{% endfor %}",
        "{{ '%(a)1000000000s' % {'a': 1} }}",
        "{{ '%(a(b)c)1000000000s' % {'a(b)c': 1} }}",
        "{{ ('%(a)999s' * 100000) % {'a': 1} }}",
        "{{ day.strftime('%999Y' * 100000) }}",
        "{{ big.rfind('ab' ~ big[1:]) }}",
        "{{ big.rsplit('ab' ~ big[1:]) }}",
        "{{ endless | list }}",
        "{{ endless | join }}",
        "{{ endless | map('string') | unique | list }}",
        "{{ ','.join(endless) }}",
        "{{ 'x' in endless }}",
        "{{ 'x' is in endless }}",
        "{{ 'x' | default(*endless) }}",
        "{% for a in endless %}{% endfor %}",
        "{% for a in xs %}{{ loop.cycle(*endless) }}{% endfor %}",
    ],
)
@pytest.mark.attack("web-13")
def test_what_would_take_all_memory_or_time_is_refused(template: str) -> None:
    inputs: dict[str, object] = {
        "xs": list(range(2000)),
        "day": dt.date(2026, 4, 20),
        "tree": list(range(50)),
        "big": "abc " * 250_000,
        "many": [f"w{number}" for number in range(20_000)],
        "endless": itertools.count(),
    }
    prompt = prompty(template)
    used = {name: value for name, value in inputs.items() if _takes(prompt, name)}
    with pytest.raises(PromptError, match=r"a\.prompty:\d+: "):
        prompt.render(**used)


@pytest.mark.parametrize(
    "body", ["{{ e }}" * 5_000, "{% set b = e.c %}" * 5_000, "{{ m() }}"], ids=["output", "names", "macro"]
)
def test_much_work_in_few_steps_ends_by_the_clock(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("surefoot.prompts.budget.MAX_SECONDS", 0.0)
    macro = "{% macro m() %}" + "{% set b = e.c %}" * 5_000 + "{% endmacro %}"
    prompt = prompty((macro if "m()" in body else "") + "{% for a in xs %}" + body + "{% endfor %}")
    with pytest.raises(PromptError, match="it takes longer than"):
        # Fewer steps than are counted before the clock is looked at for their sake.
        prompt.render(xs=[1] * 3, e="")


def test_a_template_that_jinja_itself_cannot_compile_is_told() -> None:
    with pytest.raises(PromptError, match=r"a\.prompty:1: the template cannot be compiled"):
        prompty("{% set t | replace(a, b) %}x{% endset %}{{ t }}")


def test_a_large_value_is_fine() -> None:
    assert len(render("{{ a }}", a="x" * 5_000_000)) == 5_000_000
    with pytest.raises(PromptError, match="characters"):
        render("{{ a }}{{ a }}{{ a }}{{ a }}{{ a }}", a="x" * 5_000_000)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'ab' * 3 }}{{ 2 ** 10 }}{{ 7 % 4 }}{{ 1.5 * 2 }}", "ababab102433.0"),
        ("{{ a ~ '-' ~ 3 }}{{ a + 'b' }}{{ [1] + [2] }}", "x-3xb[1, 2]"),
        (
            "{% for i in items %}{{ loop.index }}/{{ loop.length }}{{ ', ' if not loop.last }}{% endfor %}",
            "1/2, 2/2",
        ),
        ("{% for k, v in table.items() %}{{ k }}={{ v }};{% endfor %}", "p=1;"),
        ("{% for i in items if i != 'q' %}{{ i }}{% else %}none{% endfor %}", "p"),
        ("{% for n in tree recursive %}({{ n[0] }}{{ loop(n[1]) }}){% endfor %}", "(a(b)(c))"),
        ("{{ items | join(', ') }}{{ rows | join('+', attribute='n') }}", "p, q1+2"),
        ("{{ items | map('upper') | list }}{{ rows | sum(attribute='n') }}", "['P', 'Q']3"),
        (
            "{{ a.upper() }}{{ 'a,b'.split(',') }}{{ a.replace('x', 'yy') }}{{ ','.join(items) }}",
            "X['a', 'b']yyp,q",
        ),
        ("{{ '%s is %.1f' % (a, 2) }}{{ '%03d' | format(7) }}", "x is 2.0007"),
        ("{{ day.strftime('%d %B %Y') }}", "20 April 2026"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m(2) }}", "<1><2>"),
        ("{% set b %}{{ a }}!{% endset %}{{ b | upper }}{% filter upper %}y{% endfilter %}", "X!Y"),
        ("{{ table | tojson }}{{ 'a b' | replace('a', 'c') }}{{ 3 | round(1) }}", '{"p": 1}c b3'),
        ("{{ thing.name }}{{ table.p }}{{ table['p'] }}{{ items[0] }}", "thing11p"),
        ("{{ (1, 2) }}{{ {'k': [1]} }}{{ 1 in [1] }}", "(1, 2){'k': [1]}True"),
        ("{% for i in items %}{{ loop.cycle('odd', 'even') }} {% endfor %}", "odd even "),
    ],
)
def test_what_prompts_do_goes_on_working(template: str, expected: str) -> None:
    inputs: dict[str, object] = {
        "a": "x",
        "items": ["p", "q"],
        "table": {"p": 1},
        "rows": [{"n": 1}, {"n": 2}],
        "tree": [("a", [("b", []), ("c", [])])],
        "day": dt.date(2026, 4, 20),
        "thing": Thing(),
    }
    prompt = prompty(template)
    used = {name: value for name, value in inputs.items() if _takes(prompt, name)}
    assert prompt.render(**used) == expected


def _takes(prompt: Prompty, name: str) -> bool:
    from surefoot.prompts.rendering import names_of

    return name in names_of(prompt.prompt).used


def test_a_refusal_inside_a_lazy_filter_is_no_empty_text() -> None:
    with pytest.raises(PromptError):
        render("{{ x | string | list | map(attribute='__class__') | join }}", x="ab")


def test_an_error_of_a_value_has_the_line_of_the_template() -> None:
    class Broken:
        def __str__(self) -> str:
            raise OSError("the disk is gone")

    with pytest.raises(PromptError, match=r"a\.prompty:3: .*the disk is gone"):
        render("\n\n{{ x }}", x=Broken())


def test_a_division_by_nothing_has_its_line() -> None:
    with pytest.raises(PromptError, match=r"a\.prompty:2: .*division"):
        render("\n{{ 1 / x }}", x=0)


TOKENS = """{{ }} {% %} {# #} x 'a' * 9 | for in if endfor endif set = [ ] . __class__ upper center ( ) - ~"""
soup = st.lists(st.sampled_from([*TOKENS.split(" "), " ", "\n", "user:"]), max_size=25).map("".join)


@given(soup)
def test_any_template_renders_or_is_refused_in_our_own_words(text: str) -> None:
    with contextlib.suppress(InvalidInput, PromptError):
        assert isinstance(prompty(text).messages(x=["v"]), list)
