"""docs/life-of-a-model.md is true: every block of it runs, and each ends as the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tree import ROOT

PAGE = ROOT / "docs/life-of-a-model.md"
FIELD = "import json, sys; print(json.load(sys.stdin)[sys.argv[1]])"
ROWS = """
import sys
from sklearn.datasets import load_breast_cancer
data = load_breast_cancer()
names = ["_".join(name.split()) for name in data.feature_names]
names = [f"mean_{name.removeprefix('mean_')}" if name.startswith("mean_") else name for name in names]
names = [name if name.startswith(("mean_", "worst_")) else f"{name.removesuffix('_error')}_error" for name in names]
print(",".join(names))
for row in data.data:
    row = [value * float(sys.argv[1]) if "radius" in name else value for name, value in zip(names, row)]
    print(",".join(map(repr, map(float, row))))
"""
ASK = """
import sys, urllib.request
body = open(sys.argv[1], "rb").read()
for _ in range(int(sys.argv[2])):
    request = urllib.request.Request("http://127.0.0.1:18476/invocations", body, {"Content-Type": "text/csv"})
    assert urllib.request.urlopen(request, timeout=30).status == 200
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_block_of_the_page_runs_and_the_model_lives_as_it_says(tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    helpers = {"field": FIELD, "rows": ROWS, "ask": ASK}
    for name, program in helpers.items():
        (tmp_path / name).write_text(f"#!{sys.executable}\n{program}")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = os.environ | {
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "USER": "engineer",
    }
    script = "set -euo pipefail\n" + "\n".join(blocks)
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    text = result.stdout
    for sentence in (
        "values computed anew are equal",
        "model-owner approves run",
        "champion is now run",
        "answers on http://127.0.0.1:18476",
        "all verified",
        "deployment cells (stable since",
        "cells has ended",
    ):
        assert sentence in text, sentence
    assert "was taken back: its answers differ" in result.stderr
    assert re.search(r"alarm", text)
