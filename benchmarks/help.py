"""The time of ``fourscore --help``, beside a bare interpreter. Aim: at most 0.1 CPU s."""

import shutil
import sys

from measure import cpu_seconds, in_turn, show, show_ratio

if __name__ == "__main__":
    fourscore = [sys.executable, "-m", "pipelines", "--help"]
    bare = [sys.executable, "-c", "pass"]
    assert shutil.which(sys.executable)
    fourscore_times, reference = in_turn(11, lambda: cpu_seconds(fourscore), lambda: cpu_seconds(bare))
    show("fourscore --help (aim <= 0.1)", fourscore_times)
    show("python -c pass", reference)
    show_ratio("fourscore --help / python -c pass", fourscore_times, reference, "none; the aim is in seconds")
