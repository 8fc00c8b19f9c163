"""Captured requests are bounded on the disk and in memory, and a full disk costs lines, not answers."""

import json

from infra.serving.capture import Capture
from infra.serving.counts import Counts
from infra.serving.model import Evidence

EVIDENCE = Evidence("d", 1, b'[{"age":30}]', b'[{"prediction":1.5}]')


def test_files_begin_anew_at_their_limit_and_the_oldest_go(tmp_path):
    counts = Counts()
    capture = Capture(tmp_path / "kept", counts, file_bytes=500, files=3)
    for number in range(40):
        capture.keep(f"r-{number}", EVIDENCE)
    capture.close()
    files = sorted((tmp_path / "kept").iterdir())
    assert len(files) == 3
    assert all(file.stat().st_size <= 500 for file in files)
    assert (counts.captured, counts.capture_lost) == (40, 0)
    last = json.loads(files[-1].read_text().splitlines()[-1])
    assert (last["request_id"], last["inputs"], last["answers"]) == ("r-39", [{"age": 30}], [{"prediction": 1.5}])


def test_what_cannot_be_written_is_counted(tmp_path):
    counts = Counts()
    capture = Capture(tmp_path / "kept", counts)
    (tmp_path / "kept").rmdir()
    capture.keep("r-1", EVIDENCE)
    capture.keep("r-2", Evidence("d", 1, b"[" + b" " * (17 << 20) + b"]", b"[]"))
    capture.close()
    assert (counts.captured, counts.capture_lost) == (0, 2)
    assert "fourscore_capture_lost_total 2" in counts.text("d")
