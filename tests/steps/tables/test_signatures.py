"""Files whose content is not what their suffix says."""

import gzip
import random
import zipfile

import polars as pl
import pytest

from steps.errors import InputError
from steps.tables.readers import read_parts
from steps.tables.source import Source

CSV = b"age,city\n31,Graz\n45,Oslo\n"


def read(tmp_path, name, content, **settings):
    folder = tmp_path / "raw"
    folder.mkdir(exist_ok=True)
    (folder / f"00-{name}").write_bytes(content)
    return read_parts(folder, "people", Source(path=name, **settings), tmp_path / "scratch")


def parquet(tmp_path):
    pl.DataFrame({"age": [31]}).write_parquet(tmp_path / "x")
    return (tmp_path / "x").read_bytes()


def archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "x", "w") as file:
        file.writestr("a.csv", CSV)
    return (tmp_path / "x").read_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (parquet, "a Parquet file; give format: parquet"),
        (archive, "a workbook or zip archive"),
        (lambda _: gzip.compress(CSV), "gzip data; name it .gz"),
        (lambda _: b"\x80\x04K\x01.", "a Python pickle"),
        (lambda _: b"\n <!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (lambda _: b"SQLite format 3\0" + bytes(100), "an SQLite database"),
    ],
)
@pytest.mark.parametrize("name", ["people.csv", "people.ndjson", "people.dat"])
def test_what_a_file_holds_is_said_whatever_its_suffix(tmp_path, name, content, words):
    with pytest.raises(InputError, match=f"^{name}: this is {words}"):
        read(tmp_path, name, content(tmp_path))


def test_random_bytes_are_not_text(tmp_path):
    content = random.Random(0).randbytes(3_000).replace(b"\0", b"\1")  # noqa: S311 - no secret
    with pytest.raises(InputError, match="this is not text"):
        read(tmp_path, "people.csv", content)


@pytest.mark.parametrize("start", ["ORC", "BZh", "PAR1", "PKW", "\u20ac"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_header_that_begins_like_a_signature_is_a_header(tmp_path, start, encoding):
    content = f"{start},city\n31,Graz\n45,Oslo\n".encode(encoding)
    [part] = read(tmp_path, "people.csv", content)
    assert part.columns == (start, "city")


def test_an_unknown_suffix_of_text_names_the_setting(tmp_path):
    with pytest.raises(InputError, match="if it is delimited text, give format: csv"):
        read(tmp_path, "people.dat", CSV)
    (tmp_path / "scratch").rename(tmp_path / "first")
    [part] = read(tmp_path, "people.dat", CSV, format="csv")
    assert part.columns == ("age", "city")
