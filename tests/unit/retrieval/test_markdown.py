"""The blocks of Markdown and plain text, and the headings above them."""

from __future__ import annotations

from surefoot.retrieval.markdown import outline, plain, plain_outline

PAGE = """---
title: "On-call"
tags: [ops]
---
Intro line
goes on.

# On-call

## Rota ##
Two people.

Handover
--------
At 09:00.

### `Notes` and [links](http://x) ###
* one
* two

| Who | When |
|-----|:----:|
| Ann | Mon  |

```sh
# not a heading
| not | a table |

----
```
***
Last.
"""


def blocks(source: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.kind, source[each.start : each.end], each.headings) for each in outline(source).blocks]


def test_a_page_of_everything() -> None:
    assert outline(PAGE).title == "On-call"
    notes = ("Handover", "Notes and links")
    code = "```sh\n# not a heading\n| not | a table |\n\n----\n```"
    assert blocks(PAGE) == [
        ("prose", "Intro line\ngoes on.", ()),
        ("prose", "Two people.", ("Rota",)),
        ("prose", "At 09:00.", ("Handover",)),
        ("prose", "* one\n* two", notes),
        ("table", "| Who | When |\n|-----|:----:|\n| Ann | Mon  |", notes),
        ("code", code, notes),
        ("prose", "Last.", notes),
    ]


def test_the_first_heading_of_level_one_is_the_title_and_not_in_the_path() -> None:
    source = "# Handbook\na\n## Part\nb\n# Appendix\nc"
    assert outline(source).title == "Handbook"
    assert [each[2] for each in blocks(source)] == [(), ("Part",), ("Appendix",)]


def test_setext_headings_of_both_levels() -> None:
    source = "Handbook\n===\na\n\nPart one\nand two\n---\nb"
    assert outline(source).title == "Handbook"
    assert blocks(source)[1] == ("prose", "b", ("Part one and two",))


def test_what_only_looks_like_a_heading() -> None:
    source = "#hashtag\n\n    # indented\n\n####### seven\n\n- item\n---\nend"
    assert [each[2] for each in blocks(source)] == [()] * 5


def test_a_heading_with_nothing_under_it_is_kept_as_text() -> None:
    assert blocks("# T\n## Empty\n## Full\nx\n### Last") == [
        ("prose", "## Empty", ()),
        ("prose", "x", ("Full",)),
        ("prose", "### Last", ("Full",)),
    ]
    assert blocks("# Alone") == [("prose", "# Alone", ())]


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert [each[1] for each in blocks("---\nJust text\n---\nmore")] == ["more"]
    assert outline("---\nJust text\n---\nmore").blocks[0].headings == ("Just text",)
    assert [each[1] for each in blocks("---\nkey: value without end\n")] == ["key: value without end"]


def test_an_open_fence_runs_to_the_end_and_a_longer_one_holds_a_shorter() -> None:
    assert blocks("````\n```\n# a\n```\n````\nx")[0] == ("code", "````\n```\n# a\n```\n````", ())
    assert blocks("~~~\n# a\n```") == [("code", "~~~\n# a\n```", ())]
    assert blocks("```inline``` code")[0][0] == "prose"


def test_line_ends_of_all_systems() -> None:
    for end in ("\n", "\r\n", "\r"):
        source = end.join(["# T", "", "## A", "x", "y", "", "z"])
        assert blocks(source) == [("prose", f"x{end}y", ("A",)), ("prose", "z", ("A",))]


def test_plain_text_has_paragraphs_and_perhaps_a_title() -> None:
    source = "Vendor contacts\n\nCall them.\n# no heading\n\n\nBye."
    read = plain_outline(source)
    assert read.title == "Vendor contacts"
    assert [source[each.start : each.end] for each in read.blocks] == [
        "Vendor contacts",
        "Call them.\n# no heading",
        "Bye.",
    ]
    assert plain_outline("A sentence.\n\nMore.").title == ""
    assert plain_outline("only line").title == ""
    assert plain_outline(" \n ").blocks == ()


def test_plain_drops_marks_but_not_names() -> None:
    assert plain("The **bold** `code` [text](url) and __init__ in snake_case") == (
        "The bold code text and init in snake_case"
    )
