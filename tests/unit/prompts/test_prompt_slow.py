"""Texts that are made to be slow to read: each is read, or refused, in about the time that its length takes.

Each stands in a process of its own with a limit of processor time: what is not read in time fails, and never hangs.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

SECONDS = 30
"""What a text takes that is read in the square of its length is a hundred times that."""

CASES = {
    "blanks where headings may stand": "parse('a.prompty', FLOW + ' ' * 900_000)",
    "blanks where strict values may have markers": (
        "render('a.prompty', STRICT + 'user:\\n{{ q }}', q=' ' * 900_000 + ':')"
    ),
    "beginnings of pictures": "parse('a.prompty', FIRST + '![' * 400_000)",
    "beginnings of addresses of pictures": "parse('a.prompty', FIRST + '![](' * 200_000)",
    "tags of mustache": "render('a.prompty', MUSTACHE + '{{q}}' * 150_000, q='x')",
    "sections of mustache": "render('a.prompty', MUSTACHE + '{{#q}}x{{/q}}' * 60_000, q=True)",
    "a long name of mustache": "render('a.prompty', MUSTACHE + '{{#q}}{{' + 'a.' * 300_000 + 'a}}{{/q}}', q=[{}])",
    "blanks before front matter": "parse('a.prompty', ' \\n' * 400_000 + FIRST)",
    "dashes": "parse('a.prompty', '-' * 900_000 + 'x')",
    "a number on the base of sixty": "parse('a.prompty', FRONT.format('x: 1' + ':1' * 100_000))",
    "tags of jinja": "render('a.prompty', FRONT.format('') + '{{q}}' * 190_000, q='x')",
    "tags of jinja that are just allowed": "render('a.prompty', FRONT.format('') + '{{q}}' * 19_900, q='x')",
    "macros": (
        "render('a.prompty', FRONT.format('') "
        "+ ''.join('{% macro b' + str(n) + '() %}x{% endmacro %}' for n in range(25_000)))"
    ),
    "macros that are just allowed": (
        "render('a.prompty', FRONT.format('') "
        "+ ''.join('{% macro b' + str(n) + '() %}x{% endmacro %}' for n in range(5_000)))"
    ),
    "brackets": "render('a.prompty', FRONT.format('') + '{{ ' + '(' * 400_000)",
    "operators": "render('a.prompty', FRONT.format('') + '{{ ' + '+'.join(['q'] * 29_000) + '}}', q='x')",
    "braces": "render('a.yaml', 'prompt_id: a\\ntemplate: ' + '{q}' * 200_000, q='x')",
}
"""By what is told of them: what is done."""

PROGRAM = """
import logging, resource, sys
from pathlib import Path
from surefoot.errors import SurefootError
from surefoot.prompts import Prompty, loading
logging.disable(logging.CRITICAL)
FRONT = '---\\nname: a\\n{}\\n---\\n'
FLOW = FRONT.format('model: {{api: chat, configuration: {{type: azure_openai}}}}\\ninputs: {{q: {{type: string}}}}')
FIRST = FRONT.format('authors: [a]\\nmodel: {{api: chat, configuration: {{type: azure_openai}}}}')
STRICT = FRONT.format('template: {{format: {{kind: jinja2, strict: true}}, parser: {{kind: prompty}}}}')
MUSTACHE = FRONT.format('template: {{format: {{kind: mustache}}, parser: {{kind: prompty}}}}')
def parse(name, text):
    return loading.parse(text, Path(name))
def render(name, text, **values):
    return Prompty(parse(name, text)).messages(**values)
def peak():
    # Linux counts what the process was forked from among what `getrusage` tells.
    status = Path('/proc/self/status')
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith('VmHWM'))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
# From here on: what is imported takes as long as the machine is busy.
spent = resource.getrusage(resource.RUSAGE_SELF)
resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + SECONDS,) * 2)
try:
    CASE
except SurefootError as error:
    print('refused:', error)
print('done', peak())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of processor time are not there")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_text_is_read_in_good_time(case: str) -> None:
    program = PROGRAM.replace("SECONDS", str(SECONDS)).replace("CASE", case)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:] or f"stopped by the limit ({done.returncode})"
    peak = int(done.stdout.rpartition("done ")[2])
    assert peak < 500_000 * (1024 if sys.platform == "darwin" else 1), f"{peak} at the peak"
