"""HTML as the text that its readers see."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.retrieval import sentences
from surefoot.retrieval.readers import html, writing
from surefoot.retrieval.readers.writing import Refused

BLOCK = tuple[tuple[str, ...], str]


def blocks(page: str | bytes) -> list[BLOCK]:
    """Each block's headings and text."""
    text, outline = html.read(page if isinstance(page, bytes) else page.encode())
    return [(block.headings, text[block.start : block.end]) for block in outline.blocks]


def texts(page: str) -> list[str]:
    return [text for _, text in blocks(page)]


def title(page: str) -> str:
    return html.read(page.encode())[1].title


def test_headings_are_the_path_of_what_follows() -> None:
    page = (
        "<h1>Guide</h1><p>a<h2>One <em>two</em></h2><p>b<h4>Deep</h4>c<h2>Next</h2><div>d</div><h3>Bare</h3>"
    )
    assert blocks(page) == [
        ((), "a"),
        (("One two",), "b"),
        (("One two", "Deep"), "c"),
        (("Next",), "d"),
        (("Next",), "Bare"),
    ]
    assert title(page) == "Guide"
    assert blocks("<h2><a href='#a'>\u00a7</a>A<a> \u00b6 </a></h2>b") == [(("A",), "b")]
    assert blocks("<h2>\u00a7 5 C#</h2>b <a>#</a>") == [(("\u00a7 5 C#",), "b #")]


def test_the_title_is_the_title_element_then_the_first_heading() -> None:
    assert title("<title> On-call &amp;\n pages </title><h1>Other</h1>x") == "On-call & pages"
    assert blocks("<title>T</title><h1>T</h1>x") == [((), "x")]
    assert blocks("<title>T</title><h1>Other</h1>x") == [(("Other",), "x")]
    assert title("<p>x") == ""


@pytest.mark.parametrize(
    "unseen",
    [
        "<script>secret</script>",
        "<style>secret</style>",
        "<!-- secret -->",
        "<template><p>secret</template>",
        "<noscript>secret</noscript>",
        "<nav><ul><li>secret</ul></nav>",
        "<div role=navigation>secret</div>",
        "<p hidden>secret</p>",
        "<p style='color: red; Display : none'>secret</p>",
        "<span style=visibility:hidden>secret</span>",
        "<svg><text>secret</text><script>secret</script></svg>",
        "<select><option>secret</select>",
        "<button>secret</button>",
        "<textarea>secret</textarea>",
        "<iframe>secret</iframe>",
        "<object>secret</object>",
        "<script>'</scr'; secret</script  >",
        "<script><!-- <script> secret </script> --></script>",
        "<div hidden><table><tr><td>secret</table></div>",
        "<img alt=secret onerror=secret>",
        "<dialog>secret</dialog>",
        "<math><annotation>secret</annotation></math>",
        "<?php secret ?>",
    ],
)
def test_what_is_not_seen_is_no_text(unseen: str) -> None:
    rows = f"<table><tr><td>a{unseen}<td>b<tr><td>c<td>d</table>"
    found = " ".join(texts(f"<h1>T</h1><p>before {unseen} after<div>in {unseen}</div>{rows}"))
    assert " ".join(found.split()) == "before after in | a | b | | --- | --- | | c | d |"


def test_main_stands_for_the_page_if_it_has_text() -> None:
    assert texts("<header>top</header><main><p>a</main><footer>end</footer>") == ["a"]
    assert texts("<div>top</div><div role=main>a</div>") == ["a"]
    assert texts("<p>a<main> </main>") == ["a"]
    assert texts("<p>a<main hidden>b</main>") == ["a"]


def test_blanks_are_collapsed_and_lines_broken_where_the_page_breaks_them() -> None:
    assert texts("<p> a\n  <b>b</b>c&nbsp;&nbsp;d <br> e&shy;f<div>g</div>h") == ["a bc d\nef", "g", "h"]


def test_entities_are_characters() -> None:
    assert texts("<p>&lt;b&gt; &eacute;&#233;&#xe9; &amp;amp; &copy &unknown; 5&#x2009;km") == [
        "<b> \u00e9\u00e9\u00e9 &amp; \u00a9 &unknown; 5 km"
    ]
    assert texts("<p>&#xD800;&#0;&#x110000;x") == ["\ufffd\ufffd\ufffdx"]


def test_lists_keep_their_items_numbers_and_depth() -> None:
    page = "<ul><li>One<li><p>Two.</p><p>More<ol start=9><li>a<li>b</ol><li>Three</ul><p>after"
    assert texts(page) == ["- One\n- Two.\n  More\n  9. a\n  10. b\n- Three", "after"]
    assert texts("<ul><li>a<h2>H</h2><p>b</ul>c") == ["- a", "  b", "c"]
    assert texts("<li>stray") == ["stray"]
    assert texts("<ol start=x><li>a</ol><ul></ul><ol start=999999999><li>b</ol>") == ["1. a", "1. b"]
    found = texts("<ul><li>Call Ann. Then wait.<li>Leave</ul>")[0]
    assert [found[span.start : span.end] for span in sentences(found)] == ["Call Ann.", "Then wait.", "Leave"]


def test_tables_are_rows_under_a_header() -> None:
    page = """<table><caption>Levels</caption><thead><tr><th>Level<th colspan=2>Times</thead>
    <tr><td rowspan=2>1 | 2<td><p>a</p><p>b</p><td>c<tr><td>d<br>e<td><ul><li>x<li>y</ul></table>"""
    assert texts(page) == [
        "Levels",
        "| Level | Times |  |\n| --- | --- | --- |\n| 1 \\| 2 | a b | c |\n| 1 \\| 2 | d e | x; y |",
    ]
    assert texts("<table><tr><td>a<td rowspan=2>b<tr><td>c</table>") == [
        "| a | b |\n| --- | --- |\n| c | b |"
    ]
    assert texts("<table><tr><td>alone<td>row</table>") == ["alone row"]
    assert texts("<table><tr><td>a<tr><td>b</table>") == ["a\nb"]
    assert texts("<table></table><table><td></table>x") == ["x"]


def test_a_table_that_lays_out_the_page_is_none() -> None:
    inner = "<table><tr><td>1<td>2<tr><td>3<td>4</table>"
    page = f"<table><tr><td>left<td><h2>H</h2><p>right</p>{inner}<tr><td>a<td>b</table>"
    assert blocks(page) == [
        ((), "left"),
        (("H",), "right"),
        (("H",), "| 1 | 2 |\n| --- | --- |\n| 3 | 4 |"),
        (("H",), "a"),
        (("H",), "b"),
    ]
    assert texts("<table role=presentation><tr><td>a<td>b<tr><td>c<td>d</table>") == ["a", "b", "c", "d"]


def test_spans_cannot_blow_a_table_up() -> None:
    rows = "".join(f"<tr><td>{number}" for number in range(3000))
    table = f"<table><tr><td colspan=999999 rowspan=999999>{'x' * 5000}<td>y{rows}</table>"
    assert len(html.read(table.encode())[0]) < 6_000_000
    with pytest.raises(Refused, match="more than the limit of 10,000,000 characters"):
        html.read(table.replace("x" * 5000, "x" * 50_000).encode())


def test_code_keeps_its_lines() -> None:
    page = "<pre><code>def f():\n    return <b>1</b> &lt; 2\n\n</code></pre>"
    assert texts(page) == ["```\ndef f():\n    return 1 < 2\n```"]
    assert texts("<pre><div>a</div><div>  b</div>```</pre>") == ["````\na\n  b\n```\n````"]
    assert texts("<pre> </pre>x") == ["x"]


def test_malformed_markup_is_read_as_browsers_read_it() -> None:
    assert texts("<p>a<b>b<i>c</b>d</p>e</i></table></span><td>f<div") == ["abcd", "ef"]
    assert texts("text alone") == ["text alone"]
    assert texts("<table><tr><td>in</td></tr>out</table>") == ["out", "in"]
    assert texts("<p title='unclosed>a</p><p>b' x>c") == ["c"]
    assert texts("</html></body>late<p>r") == ["late", "r"]


XHTML = (
    '<?xml version="1.0"?><!DOCTYPE html [{subset}]><html xmlns="http://www.w3.org/1999/xhtml">{page}</html>'
)


def test_xhtml_may_close_any_element_at_once() -> None:
    page = "<head><title/><script src='a.js'/><style/></head><body><p/>a<div/><![CDATA[b < c & d]]></body>"
    assert texts(XHTML.format(subset="", page=page)) == ["a", "b < c & d"]


def test_entities_of_the_document_are_not_expanded() -> None:
    laughs = '<!ENTITY a "ha"><!ENTITY b "' + "&a;" * 10 + '"><!ENTITY c "' + "&b;" * 10 + '">'
    outside = '<!ENTITY d SYSTEM "file:///etc/passwd">'
    found = texts(XHTML.format(subset=laughs + outside, page="<body><p>&c; &d; x</p></body>"))
    assert found == ["&c; &d; x"]


@pytest.mark.parametrize(
    "page", ["", "   ", "<script>render()</script>", "<frameset><frame src=a></frameset>"]
)
def test_a_page_without_text_is_refused(page: str) -> None:
    with pytest.raises(Refused, match="it has no text"):
        html.read(page.encode())


def test_a_page_with_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_CHARACTERS", 50)
    assert texts("<p>" + "x" * 40)
    with pytest.raises(Refused, match="more than the limit of 50 characters"):
        html.read(b"<p>" + b"x" * 51)


def test_deep_nesting_needs_no_recursion() -> None:
    deep = 4_000
    for tag in ("div", "span", "blockquote", "ul><li", "b", "section", "table><tr><td"):
        assert texts(f"<{tag}>" * deep + "x")[0].strip("- ") == "x"


MARKUP = st.lists(
    st.sampled_from(
        [
            *(
                "<p>",
                "</p>",
                "<ul>",
                "<li>",
                "</ul>",
                "<ol>",
                "<table>",
                "<tr>",
                "<td>",
                "</table>",
                "<h2>",
                "</h2>",
            ),
            *(
                "<pre>",
                "</pre>",
                "<br>",
                "<b>",
                "</b>",
                "<div>",
                "</div>",
                "<script>",
                "</script>",
                "<caption>",
            ),
            *(
                "<select>",
                "</select>",
                "<main>",
                "</main>",
                "<svg>",
                "</svg>",
                "<template>",
                "</template>",
                "<!--",
            ),
            *(
                "-->",
                "&amp;",
                "&#0;",
                " ",
                "\n",
                "<td rowspan=3 colspan=2>",
                "<nav>",
                "</nav>",
                "</body>",
                "</html>",
            ),
            *("seen ", "word. Another.", "|", "```", "\u00ad", "\x0c"),
        ]
    ),
    max_size=40,
).map("".join)


@settings(deadline=None)
@given(MARKUP | st.text())
def test_any_markup_gives_ordered_blocks_or_is_refused(page: str) -> None:
    try:
        text, outline = html.read(page.encode("utf-8", "replace"))
    except Refused:
        return
    end = 0
    for block in outline.blocks:
        assert end <= block.start < block.end
        assert text[block.start : block.end].strip()
        end = block.end


AROUND = st.sampled_from(
    ["<p>{}</p>", "<div>{}</div>", "<ul><li>{}</ul>", "<pre>{}</pre>", "<blockquote>{}</blockquote>", " {} "]
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,5}", fullmatch=True), AROUND), min_size=1))
def test_every_word_is_kept_once_whatever_surrounds_it(words: list[tuple[str, str]]) -> None:
    page = "".join(around.format(word) for word, around in words)
    found = [word.strip("-`") for text in texts(page) for word in text.split()]
    assert [word for word in found if word] == [word for word, _ in words]
