"""A fully cached run of the breast-cancer example, beside a bare ``import pydantic``. Aim: at most 0.35 CPU s."""

import sys
import tempfile
from pathlib import Path

from measure import cpu_seconds, in_turn, show, show_ratio

PROBLEM = Path(__file__).parents[1] / "examples/breast-cancer/problem.yaml"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        run = [sys.executable, "-m", "pipelines", "run", str(PROBLEM), "--workspace", place, "--no-tracking", "--json"]
        cpu_seconds(run)
        bare = [sys.executable, "-c", "import pydantic; pydantic.BaseModel"]
        cached, reference = in_turn(9, lambda: cpu_seconds(run), lambda: cpu_seconds(bare))
        show("a fully cached run (aim <= 0.35)", cached)
        show("import pydantic", reference)
        show_ratio("cached run / import pydantic", cached, reference, "none; the aim is in seconds")
