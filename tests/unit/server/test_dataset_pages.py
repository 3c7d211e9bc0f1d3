"""The pages of datasets: what they show, what they write, and whom they refuse."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from surefoot.app import App
from surefoot.evals.datasets.review import Review
from surefoot.server import loopback_hosts, web

PORT = 8710
ORIGIN = f"http://127.0.0.1:{PORT}"
GOLDEN = "/datasets/datasets/golden.jsonl"
ATTACK = "</textarea></script><script>alert(1)</script><img src=x onerror=alert(1)>"
ROWS = [
    {
        "id": "a",
        "inputs": {"q": ATTACK},
        "expected": f"text\r\nof two lines {ATTACK}",
        "metadata": {"review": "pending"},
    },
    {
        "id": "b",
        "inputs": {"q": "x"},
        "expected": {"z": [1, 2]},
        "metadata": {"review": "pending", "run": "01ABC"},
    },
    {"id": "c", "q": "flat", "review": "pending"},
    {"id": "d", "q": "no review"},
]


@pytest.fixture
def file(app: App) -> Path:
    folder = app.settings.root / "datasets"
    folder.mkdir()
    path = folder / "golden.jsonl"
    path.write_bytes(b"".join(json.dumps(row).encode() + b"\n" for row in ROWS))
    return path


@pytest.fixture
def read_only(app: App) -> Iterator[TestClient]:
    with TestClient(web(app, hosts=loopback_hosts(PORT), is_read_only=True), base_url=ORIGIN) as client:
        yield client


def form_of(page: str) -> dict[str, str]:
    """The fields of the form on a page, as a browser would send them."""
    fields = {
        html.unescape(name): html.unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
    }
    text = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)
    assert text is not None
    fields["expected"] = re.sub(r"\r?\n", "\r\n", html.unescape(text[1]))
    chosen = re.search(r'name="form" value="(\w+)" checked', page)
    assert chosen is not None
    return {**fields, "form": chosen[1], "by": "Eva"}


def post(pages: TestClient, fields: dict[str, str], path: str = GOLDEN, **headers: str) -> tuple[int, str]:
    given = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", **headers}
    answer = pages.post(path, content=urlencode(fields), headers={k: v for k, v in given.items() if v})
    return answer.status_code, answer.headers.get("location", answer.text)


def rows_of(file: Path) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in map(json.loads, file.read_bytes().splitlines())}


# What is shown


def test_without_datasets_the_page_says_how_to_make_some(pages: TestClient) -> None:
    assert "surefoot dataset from-runs" in pages.get("/datasets").text


def test_datasets_are_listed_by_name_with_their_counts(pages: TestClient, app: App, file: Path) -> None:
    root = app.settings.root
    for folder in ("evals/deep", ".hidden", "node_modules", "elsewhere"):
        (root / folder).mkdir(parents=True)
        (root / folder / "cases.csv").write_text("id,q\n1,x\n")
    for folder in ("evals/deep", ".hidden", "node_modules"):
        (root / folder / "evaluation.py").touch()
    (root / "evals" / "deep" / "settings.json").write_text("{}")
    (file.parent / "broken.jsonl").write_text('{"id": 1}\n{broken\n')
    (file.parent / "outside.jsonl").symlink_to("/etc/passwd")
    page = pages.get("/datasets").text
    links = re.findall(r'href="(/datasets/[^"]*)"', page)
    assert links == ["/datasets/datasets/broken.jsonl", GOLDEN, "/datasets/evals/deep/cases.csv"]
    assert "1 line malformed" in page
    assert re.search(r'data-label="to review">3<', page)


def test_a_case_is_shown_with_nothing_that_acts(pages: TestClient, file: Path) -> None:
    page = pages.get(GOLDEN).text
    assert "0 of 3 reviewed" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert form_of(page)["case"] == "a"
    second = pages.get(GOLDEN, params={"after": "1"}).text
    assert form_of(second)["form"] == "json"
    assert '<a href="/runs/01ABC">' in second
    assert form_of(pages.get(GOLDEN, params={"after": "3"}).text)["case"] == "a", "from the top again"
    raw = pages.get(GOLDEN, params={"case": "a", "raw": "q"})
    assert raw.text == ATTACK
    assert "sandbox" in raw.headers["content-security-policy"]
    assert pages.get(GOLDEN, params={"case": "a", "raw": "other"}).status_code == 404
    assert pages.get(GOLDEN, params={"case": "zz"}).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../surefoot.toml",
        "..%2f..%2fetc%2fpasswd",
        "datasets/../secret.jsonl",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "datasets/golden.jsonl/",
        "datasets/golden.jsonl%00",
        "secret.jsonl",
        ".surefoot/key",
        "datasets\\golden.jsonl",
    ],
)
def test_no_path_leads_out_of_the_list(pages: TestClient, app: App, file: Path, name: str) -> None:
    (app.settings.root / "secret.jsonl").write_text(
        '{"id": "a", "review": "pending", "q": "unlisted content"}\n'
    )
    answer = pages.get(f"/datasets/{name}")
    assert answer.status_code == 404
    assert "unlisted content" not in answer.text
    fields = form_of(pages.get(GOLDEN).text)
    assert post(pages, {**fields, "verdict": "accepted"}, f"/datasets/{name}")[0] in (404, 405)
    assert len(Review.of(file).pending) == 3


def test_other_formats_say_how_to_convert_them(pages: TestClient, file: Path) -> None:
    (file.parent / "cases.csv").write_text("id,q\n1,x\n")
    assert "surefoot dataset convert datasets/cases.csv" in pages.get("/datasets/datasets/cases.csv").text


# What is written


def test_a_queue_is_worked_off(pages: TestClient, file: Path) -> None:
    before = file.read_bytes().splitlines()
    fields = form_of(pages.get(GOLDEN).text)
    code, where = post(pages, {**fields, "verdict": "accepted"})
    assert (code, where) == (303, f"{GOLDEN}?after=1&said=accepted&was=a")
    page = pages.get(where).text
    assert "1 of 3 reviewed" in page
    fields = form_of(page)
    assert post(pages, {**fields, "verdict": "corrected", "expected": '{"z": [3]}\r\n'})[0] == 303
    fields = form_of(pages.get(GOLDEN).text)
    assert (fields["case"], fields["expected"], fields["form"]) == ("c", "", "text")
    assert post(pages, {**fields, "verdict": "rejected"})[0] == 303
    assert "All reviewed" in pages.get(GOLDEN).text
    rows = rows_of(file)
    assert rows["a"]["expected"] == ROWS[0]["expected"], "accepted as it was, its line ends too"
    assert (rows["b"]["expected"], rows["c"]["review"]) == ({"z": [3]}, "rejected")
    metadata = rows["b"]["metadata"]
    assert isinstance(metadata, dict)
    assert (metadata["review"], metadata["reviewed_by"], metadata["recorded"]) == (
        "corrected",
        "Eva",
        {"z": [1, 2]},
    )
    assert file.read_bytes().splitlines()[3] == before[3]
    assert "Corrected by" in pages.get(GOLDEN, params={"case": "b"}).text


def test_a_line_that_changed_meanwhile_is_shown_as_it_is_now(pages: TestClient, file: Path) -> None:
    fields = form_of(pages.get(GOLDEN, params={"case": "b"}).text)
    changed = file.read_bytes().replace(b"[1, 2]", b"[1, 9]")
    file.write_bytes(changed)
    code, page = post(pages, {**fields, "verdict": "corrected", "expected": '{"mine": 1}'})
    assert code == 409
    assert "was changed or removed" in page
    assert '"mine": 1' in form_of(page)["expected"], "what was typed is not lost"
    assert file.read_bytes() == changed
    assert post(pages, {**form_of(page), "verdict": "corrected"})[0] == 303, (
        "now it is sent with the new line"
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"verdict": "accepted", "expected": '{"z": [7]}'}, "was edited: choose Correct"),
        ({"verdict": "corrected", "expected": "{broken"}, "is not JSON"),
        ({"verdict": "corrected", "expected": "1e999"}, "is not JSON"),
        ({"verdict": "accepted", "by": " "}, "Say who you are"),
    ],
)
def test_what_cannot_be_written_is_said_beside_the_case(
    pages: TestClient, file: Path, more: dict[str, str], why: str
) -> None:
    before = file.read_bytes()
    fields = form_of(pages.get(GOLDEN, params={"case": "b"}).text)
    code, page = post(pages, {**fields, **more})
    assert code == 422
    assert why in page
    assert form_of(page)["expected"] == {**fields, **more}["expected"]
    assert file.read_bytes() == before


# Who may post


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": ""},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:8711"},
        {"origin": "https://127.0.0.1:8710"},
        {"origin": "http://localhost:8710"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_form_from_elsewhere_is_refused(pages: TestClient, file: Path, headers: dict[str, str]) -> None:
    fields = form_of(pages.get(GOLDEN).text)
    code, page = post(pages, {**fields, "verdict": "accepted"}, **headers)
    assert code == 403
    assert "not sent from a page of this server" in page
    assert len(Review.of(file).pending) == 3


def test_a_token_counts_for_its_session_and_server_only(pages: TestClient, app: App, file: Path) -> None:
    fields = {**form_of(pages.get(GOLDEN).text), "verdict": "accepted"}
    (cookie,) = pages.cookies.jar
    assert cookie.name == "surefoot-8710"
    for token in ("", "0" * 64, fields["token"][:-1] + "x", "é" * 64):
        assert post(pages, {**fields, "token": token})[0] == 403
    with TestClient(web(app, hosts=loopback_hosts(PORT)), base_url=ORIGIN, follow_redirects=False) as other:
        assert post(other, fields)[0] == 403, "without the cookie"
        other.cookies.set("surefoot-8710", str(cookie.value))
        assert post(other, fields)[0] == 403, "the token of another process"
    pages.cookies.clear()
    assert post(pages, fields)[0] == 403
    assert len(Review.of(file).pending) == 3
    pages.cookies.set("surefoot-8710", str(cookie.value))
    assert post(pages, fields)[0] == 303


def test_the_cookie_is_for_these_pages_and_no_script(pages: TestClient, file: Path) -> None:
    answer = pages.get(GOLDEN)
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "path=/datasets" in said
    assert answer.headers["referrer-policy"] == "same-origin", (
        "else a browser calls the origin of a form null"
    )
    assert "set-cookie" not in pages.get(GOLDEN).headers
    assert "set-cookie" not in pages.get("/runs").headers


@pytest.mark.parametrize("host", ["evil.example:8710", "127.0.0.1:8711"])
@pytest.mark.attack("web-01", "web-03")
def test_a_post_under_another_name_is_refused(pages: TestClient, file: Path, host: str) -> None:
    fields = {**form_of(pages.get(GOLDEN).text), "verdict": "accepted"}
    assert post(pages, fields, host=host, origin=f"http://{host}")[0] == 421


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"x" * 5_000_000, {}, 413),
        (b"a=1", {"content-type": "application/json"}, 415),
        (b"a=1", {"content-type": "multipart/form-data; boundary=x"}, 415),
        (b"&".join(b"a%d=1" % n for n in range(50)), {}, 400),
        (b"token=1&token=2", {}, 400),
        (b"\xff=1", {}, 400),
        (b"%ff=1", {}, 400),
        (b"nonsense", {}, 400),
        (b"", {}, 403),
    ],
)
@pytest.mark.attack("web-01", "web-21")
def test_a_body_that_is_no_form_is_refused(
    pages: TestClient, file: Path, content: bytes, headers: dict[str, str], code: int
) -> None:
    pages.get(GOLDEN)
    given = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", **headers}
    answer = pages.post(GOLDEN, content=content, headers=given)
    assert answer.status_code == code
    assert answer.headers["x-frame-options"] == "DENY"

    def streamed() -> Iterator[bytes]:
        yield content

    if code == 413:
        # Without a length that could be believed.
        assert pages.post(GOLDEN, content=streamed(), headers=given).status_code == 413


@pytest.mark.parametrize("more", [{"line": "x"}, {"line": "9" * 12}, {"verdict": "deleted"}, {"verdict": ""}])
def test_a_form_with_other_values_is_refused(pages: TestClient, file: Path, more: dict[str, str]) -> None:
    fields = {**form_of(pages.get(GOLDEN).text), "verdict": "accepted", **more}
    assert post(pages, fields)[0] == 422
    assert len(Review.of(file).pending) == 3


def test_read_only_pages_take_nothing(read_only: TestClient, pages: TestClient, file: Path) -> None:
    page = read_only.get(GOLDEN).text
    assert "<form" not in page
    assert "--read-only" in page
    fields = {**form_of(pages.get(GOLDEN).text), "verdict": "accepted"}
    assert post(read_only, fields)[0] == 405
    assert len(Review.of(file).pending) == 3


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_stay_refused(pages: TestClient, file: Path, method: str) -> None:
    refused = pages.request(method, GOLDEN)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
    assert pages.post("/datasets", headers={"origin": ORIGIN}).status_code == 405
    assert pages.post("/runs", headers={"origin": ORIGIN}).status_code == 405
