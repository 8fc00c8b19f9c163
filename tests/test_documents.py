"""The documents name only what exists."""

import re

import pytest
from tree import ROOT, tracked_files

PAGES = [name for name in tracked_files("*.md") if name != "docs/tree.md"]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_ours_that_a_page_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    files = re.findall(r"`((?:pipelines|infra|steps|model_code|tests|benchmarks)/[\w/.-]+\.\w+)`", text)
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_link_between_pages_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []
