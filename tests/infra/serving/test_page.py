"""The page to try a model: what comes from the data stays text, nothing is loaded, and everybody can use it."""

import html.parser
import math
import re
import time

import browser
import pytest
from devtools import Browser
from model_server import INTERVALS, SCHEMA, running
from tracked import write_model

from infra.serving.page import html as page_of
from infra.serving.page import middle, policy

HOSTILE = '"><img src=x onerror=alert(1)></script>$script ${style}'
COLUMNS = [
    *SCHEMA["inputs"],
    {"name": HOSTILE, "type": "category", "kind": "category", "missing": 1, "vocabulary": [HOSTILE, "b"]},
    {"name": "many", "type": "category", "kind": "category", "missing": 0, "vocabulary": [f"w{i}" for i in range(80)]},
    {"name": "flag", "type": "boolean", "kind": "boolean", "missing": 2},
    {"name": "day", "type": "date", "kind": "datetime", "missing": 0, "range": ["2020-01-01", "2024-12-31"]},
    {"name": "moment", "type": "datetime", "kind": "datetime", "missing": 0, "range": ["2020-01-01T00:00:00", "2024-12-31T10:11:12.5"]},
    {"name": "constant", "type": "float", "kind": "numeric", "missing": 0},
]  # fmt: skip
CLASSES = page_of(SCHEMA | {"inputs": COLUMNS, "target": HOSTILE, "classes": ["no", HOSTILE]}, "ab" * 32)
NUMBER = page_of(SCHEMA | {"classes": [], "intervals": INTERVALS, "task": "regression"}, "ab" * 32)


class Tags(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_names_and_words_of_the_data_stay_text():
    tags = Tags(CLASSES).tags
    assert not [tag for tag, _ in tags if tag == "img"]
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert [attributes["name"] for tag, attributes in tags if attributes.get("name") == HOSTILE] == [HOSTILE]


def test_the_page_loads_nothing_and_its_policy_allows_its_own_script_only():
    for page in (CLASSES, NUMBER):
        assert not re.search(r"(?:src|href)=.?https?:|url\(|@import", page)
    assert policy().startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy()


def test_each_column_has_a_label_and_a_control_with_a_value_of_training():
    tags = Tags(CLASSES).tags
    labels = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    controls = {attributes["name"]: attributes for _, attributes in tags if "data-kind" in attributes}
    assert set(controls) == {entry["name"] for entry in COLUMNS}
    assert {attributes["id"] for attributes in controls.values()} <= labels
    assert (controls["age"]["value"], controls["day"]["value"]) == ("50", "2024-12-31")
    assert controls["moment"]["value"] == "2024-12-31T10:11:12"


def test_the_middle_of_amounts_is_the_geometric_one():
    assert middle(0.0, 100.0) == 50
    assert middle(250.0, 18424.0) == math.sqrt(250 * 18424)


@pytest.mark.slow
@pytest.mark.skipif(not (browser.CHROMIUM and browser.HAS_AXE), reason="no chromium or no axe")
@pytest.mark.parametrize("scheme", browser.SCHEMES)
def test_axe_finds_no_barrier_and_nothing_lies_beyond_the_edge(scheme, tmp_path):
    assert browser.audit({"classes": CLASSES, "number": NUMBER}, scheme, tmp_path) == []


def eventual(page, expression, predicate):
    """The value of an expression in the page, once it is as expected."""
    end = time.monotonic() + 60
    while not predicate(value := page.value(expression)):
        assert time.monotonic() < end, value
        time.sleep(0.1)
    return value


@pytest.mark.slow
@pytest.mark.skipif(not browser.CHROMIUM, reason="no chromium")
def test_a_change_is_answered_with_what_it_moved_and_so_is_a_file(tmp_path):
    with running(write_model(tmp_path / "model"), "--page") as server, Browser(tmp_path, width=360) as page:
        page.open(f"http://127.0.0.1:{server.port}/", "Every value is the one")
        before = eventual(page, "document.getElementById('chances').textContent", lambda text: "%" in text)
        change = "age.dispatchEvent(new Event('input', {bubbles: true}))"
        page.value(f"globalThis.age = document.querySelector('[name=age]'); age.value = '77'; {change}")
        eventual(page, "document.getElementById('moves').textContent", lambda text: text.startswith("age+"))
        assert page.value("document.getElementById('chances').textContent") != before
        text = "age,price,when,code,place\\n1,2,2024-01-01T00:00:00,1,north\\n"
        page.value(f"answerFile(new File(['{text}'], 'rows.csv'))")
        rows = "document.getElementById('file-rows').textContent"
        eventual(page, rows, lambda text: text == "rows.csv, answers: 1")
        page.value("answerFile(new File(['age'], 'rows.csv'))")
        eventual(page, "document.getElementById('file-problem').textContent", lambda text: "no rows" in text)
        page.value(f"age.value = ''; {change}")
        eventual(page, "document.getElementById('moves').textContent", lambda text: text.startswith("age\u2212"))
        page.picture(tmp_path.parent / "page.png", whole=True)
        asks = [address for address in page.requests() if address.startswith("http")]
        assert {address.split("/")[2] for address in asks} == {f"127.0.0.1:{server.port}"}
        assert not [event for event in page.events if event["method"] == "Runtime.exceptionThrown"]
