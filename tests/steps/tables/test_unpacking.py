"""Files in archives are read, and archives that would fill the disk are refused."""

import bz2
import gzip
import lzma
import zipfile

import pyarrow as pa
import pytest
from ingested import refused

from steps.errors import InputError
from steps.tables.unpacking import unpack


def test_gzip_and_zip_members_are_read(read, tmp_path):
    assert read({"d.csv.gz": gzip.compress(b"a,b\n1,x\n2,y\n")})["a"] == [1, 2]
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/metadata.json", "{}")
        archive.writestr("folder/d.csv", "a,b\n1,x\n2,y\n")
    assert read({"d.zip": path.read_bytes()})["a"] == [1, 2]


def test_files_of_other_packers_are_read_and_damaged_ones_refused(read):
    content = b"a,b\n" + b"".join(b"%d,x\n" % number for number in range(500))
    packed = {".bz2": bz2.compress(content), ".xz": lzma.compress(content), ".zst": pa.Codec("zstd").compress(content)}
    for suffix, data in packed.items():
        assert read({f"d.csv{suffix}": bytes(data)}).schema.rows == 500
        refused(read, {f"d.csv{suffix}": bytes(data)[:40]}, match=f"d.csv{suffix}: cannot be unpacked")


def test_an_ambiguous_archive_asks_which_member(read, tmp_path):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a,b\n1,x\n")
        archive.writestr("b.csv", "a,b\n2,y\n")
    refused(read, {"d.zip": path.read_bytes()}, match=r"Give member: one of a.csv, b.csv")
    assert read({"d.zip": path.read_bytes()}, member="b.csv")["a"] == [2]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_refused_however_it_is_packed(read, tmp_path, method):
    with zipfile.ZipFile(tmp_path / "d.zip", "w", method) as archive:
        archive.writestr("d.csv", "a,b\n" + "".join(f"{number},{number**3}\n" for number in range(500)))
    content = bytearray((tmp_path / "d.zip").read_bytes())
    content[60:100] = bytes(40)
    refused(read, {"d.csv.zip": bytes(content)}, match="d.csv.zip: cannot be unpacked")


def pack(path, content):
    """``content`` as a gzip file and as the one member of a zip file below ``path``."""
    path.mkdir()
    with zipfile.ZipFile(path / "02-d.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("d.csv", content)
    (path / "01-d.csv.gz").write_bytes(gzip.compress(content, mtime=0))
    return {packed.suffix: packed for packed in path.iterdir()}


def unpacked(file, place, **limits):
    place.mkdir()
    return unpack(file, file.name, None, {".csv"}, place, **limits)


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_file_that_unpacks_to_fill_the_disk_is_refused_and_one_that_packs_well_is_not(tmp_path, suffix):
    rows = "".join(f"{i % 97},a long value that comes again and again\n" for i in range(20_000))
    good = pack(tmp_path / "good", f"a,b\n{rows}".encode())[suffix]
    assert len(rows) > 20 * good.stat().st_size
    table, name = unpacked(good, tmp_path / "1", small=1 << 10)
    assert (table.read_text(), name.endswith("d.csv")) == (f"a,b\n{rows}", True)
    bomb = pack(tmp_path / "bomb", b"a,b\n" + b"1,2\n" * 2_000_000)[suffix]
    with pytest.raises(InputError, match=r"d.csv.*: [\d,]+ bytes unpack to more than 200 times.*unpack it yourself"):
        unpacked(bomb, tmp_path / "2", small=1 << 10)
    assert not list((tmp_path / "2").rglob("unpacked"))


@pytest.mark.parametrize("suffix", [".gz", ".zip"])
def test_a_file_that_unpacks_to_more_than_the_disk_holds_is_refused_before_it_is_full(tmp_path, suffix):
    file = pack(tmp_path / "packed", b"a,b\n" + b"1,2\n" * 1_000)[suffix]
    with pytest.raises(InputError, match=r"d.csv.*: unpacks to more than 500 bytes, half of what is free.*--workspace"):
        unpacked(file, tmp_path / "1", free=1_000)
    assert not list((tmp_path / "1").rglob("unpacked"))
