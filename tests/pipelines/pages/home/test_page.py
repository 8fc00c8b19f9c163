"""The home page shows what is in use by whose signature, and what waits for a decision; text from data stays text."""

import browser
import pytest
import signed
from judged import judged, key_of
from reported import HOSTILE, corpus

from infra.deployments import state
from infra.deployments.state import Desired, Version
from pipelines.pages.home.page import render, write_page


@pytest.fixture
def workspace(tmp_path):
    for run in ("one", "two"):
        judged(tmp_path, run)
    signed.approve(tmp_path, "one")
    version = Version("one", key_of("one", "train"), ["owner"], "2026-01-01T00:00")
    state.change(
        state.directory_of(tmp_path, "live"), "deploy", lambda _: Desired("live", 0, "127.0.0.1", 0, None, version)
    )
    return tmp_path


def test_it_says_what_is_in_use_and_what_waits(workspace):
    page = render(workspace)
    in_use, waits = page.index("In use</h2>"), page.index("Waits for a decision</h2>")
    assert "owner" in page[in_use:waits]
    assert "not watched yet" in page[in_use:waits]
    assert "fourscore review two" in page[waits:]
    signed.approve(workspace, "two", decision="reject")
    assert "fourscore review two" not in render(workspace)


def test_an_empty_workspace_says_what_to_do(tmp_path):
    page = write_page(tmp_path).read_text(encoding="utf-8")
    assert "fourscore deploy RUN" in page
    assert "fourscore run PROBLEM" in page


def test_hostile_text_stays_text(tmp_path):
    corpus(tmp_path)
    page = render(tmp_path)
    assert all(text not in page for text in HOSTILE if "<" in text)


@pytest.mark.slow
@pytest.mark.skipif(browser.CHROMIUM is None or not browser.HAS_AXE, reason="no chromium on this machine")
@pytest.mark.parametrize("scheme", browser.SCHEMES)
def test_axe_has_nothing_to_say_of_the_page(workspace, tmp_path, scheme):
    assert browser.audit({"home": render(workspace)}, scheme, tmp_path) == []
