"""The page on which an approver decides: for whoever has the link, from its own form only, over once something is signed."""

import http.client
import re
import threading
from urllib.parse import urlencode

import browser
import pytest
import signed
from judged import judged

from infra.approvals import log
from infra.store.local import LocalStore
from pipelines.pages.review import app
from pipelines.pages.review.app import LONGEST, Review

HOSTILE = "<script>document.title='owned'</script>"


class Visitor:
    """A browser, as far as headers and cookies go."""

    def __init__(self, link):
        self.host = re.search(r"//([^/]+)", link)[1]
        self.path = link.partition(self.host)[2]
        self.cookie = ""

    def ask(self, path, fields=None, **headers):
        connection = http.client.HTTPConnection(self.host, timeout=10)
        lines = {"Cookie": self.cookie, "Connection": "close"}
        body = None
        if fields is not None:
            body = urlencode(fields)
            lines |= {"Origin": f"http://{self.host}", "Content-Type": "application/x-www-form-urlencoded"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if body is None else "POST", path, body, lines)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def enter(self):
        response, _ = self.ask(self.path)
        self.cookie = response.headers["set-cookie"].partition(";")[0]
        assert "HttpOnly" in response.headers["set-cookie"]
        assert "samesite=strict" in response.headers["set-cookie"].lower()
        return self.ask("/")[1]

    def form(self, **fields):
        page = self.ask("/")[1]
        return {"csrf": re.search(r'name="csrf" value="(\w+)"', page)[1], **fields}


@pytest.fixture
def workspace(tmp_path):
    judged(tmp_path, "one", better="neither")
    signed.adopt(LocalStore(tmp_path))
    return tmp_path


@pytest.fixture
def open_review(workspace):
    threads = []

    def start(signer=None, fault=""):
        review = Review(workspace, "one", signer, fault, None)
        links, ready = [], threading.Event()
        thread = threading.Thread(target=app.serve, args=(review, 0, lambda link: (links.append(link), ready.set())))
        thread.start()
        threads.append((thread, review))
        assert ready.wait(20)
        return review, Visitor(links[0])

    yield start
    for thread, review in threads:
        review.ended()
        thread.join(10)
        assert not thread.is_alive()


def test_a_decision_is_signed_by_the_form_and_the_server_ends(workspace, open_review):
    review, visitor = open_review(signed.signer(1))
    page = visitor.enter()
    assert "You sign as <b><bdi>owner</bdi></b>" in page or "owner" in page
    assert "no better than the current champion" in page
    fields = visitor.form(decision="approve", reason="good enough")
    response, text = visitor.ask("/decision", fields)
    assert (response.status, "it is no better than the current champion" in text) == (400, True)
    response, text = visitor.ask("/decision", fields | {"anyway": "yes"})
    assert (response.status, "owner approves this model" in text) == (200, True)
    (entry,) = [entry for entry in log.read(LocalStore(workspace)).entries if hasattr(entry.content, "run")]
    assert (entry.content.reason, review.entry.digest) == ("good enough", entry.digest)


def test_what_a_person_wrote_stays_where_nothing_was_signed(open_review):
    _, visitor = open_review(signed.signer(1))
    visitor.enter()
    response, text = visitor.ask("/decision", visitor.form(decision="approve", reason=HOSTILE))
    assert response.status == 400
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    response, text = visitor.ask("/decision", visitor.form(decision="approve", reason=" "))
    assert (response.status, "Write a reason." in text) == (400, True)


def test_nobody_without_the_link_sees_or_decides_anything(workspace, open_review):
    _, visitor = open_review(signed.signer(1))
    for path, fields in (
        ("/", None),
        ("/report", None),
        ("/?token=wrong", None),
        ("/decision", {"decision": "approve"}),
    ):
        assert visitor.ask(path, fields)[0].status == 401
    visitor.enter()
    fields = visitor.form(decision="reject", reason="x")
    for headers in ({"Origin": "http://127.0.0.1:9"}, {"Origin": "null"}, {"Host": "evil.example"}):
        assert visitor.ask("/decision", fields, **headers)[0].status == 403
    assert visitor.ask("/decision", fields | {"csrf": "0"})[0].status == 403
    assert visitor.ask("/decision", fields | {"decision": "maybe"})[0].status == 400
    assert visitor.ask("/decision", fields | {"reason": "x" * LONGEST})[0].status == 413
    assert visitor.ask("/other")[0].status == 404
    assert len(log.read(LocalStore(workspace)).entries) == 1


def test_who_is_no_approver_reads_and_cannot_sign(open_review):
    for signer, fault, sentence in (
        (signed.signer(3), "", "is of no approver"),
        (None, "no key to sign with", "no key to sign with"),
    ):
        _, visitor = open_review(signer, fault)
        page = visitor.enter()
        assert sentence in page
        assert "<form" not in page


def test_the_page_asks_for_nothing_from_outside_and_leads_to_the_report(open_review):
    _, visitor = open_review(signed.signer(1))
    visitor.enter()
    response, page = visitor.ask("/")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert re.findall(r'(?:src|href)="(?!#|report|data:)[^"]*"', page) == []
    assert visitor.ask("/report")[0].status == 200


@pytest.mark.slow
@pytest.mark.skipif(browser.CHROMIUM is None or not browser.HAS_AXE, reason="no chromium on this machine")
@pytest.mark.parametrize("scheme", browser.SCHEMES)
def test_axe_has_nothing_to_say_of_the_page(workspace, tmp_path, scheme):
    review = Review(workspace, "one", signed.signer(1), "", None)
    pages = {
        "form": review.page(),
        "outcome": review.page(outcome="owner approves this model.", next_step="Promote it."),
    }
    assert browser.audit(pages, scheme, tmp_path) == []
