"""The encoding of a file is detected from its bytes, and doubts about it are said."""

import pytest
from ingested import csv_file, refused

from steps.tables.encodings import encoding_of


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_encoding_is_detected(read, encoding):
    table = read(csv_file("näme,wert\nGrün,1\nÄpfel €,2\n".encode(encoding)))
    assert table["näme"] == ["Grün", "Äpfel €"]


def test_an_encoding_beyond_the_sample_is_found_in_the_end(read):
    body = b"".join(b"%d,abcdefghijklmnopqrst\n" % number for number in range(60_000))
    table = read(csv_file(b"n,t\n" + body + b"60000,caf\xe9\n"))
    assert table["t"][-1] == "café"
    assert "cp1252" in table.notes


def test_latin_1_is_taken_where_cp1252_has_no_character(read):
    assert read(csv_file(b"a,b\n\x81x,1\ny,2\n"), encoding="latin-1")["a"][0] == "\x81x"
    assert read(csv_file(b"a,b\n\x81x,1\ny,2\n")).report["sources"]["data"]["files"][0]["encoding"] == "latin-1"


def test_an_unknown_encoding_and_a_wrong_one_are_refused(read):
    refused(read, csv_file("a,b\n1,2\n"), match="encoding", encoding="klingon")
    refused(read, csv_file(b"a,b\n\xff\xfe\xff,2\n"), match="cannot be read as ascii|UTF-8|utf", encoding="utf-8")


@pytest.mark.parametrize("name", ["hex", "rot13", "zlib", "undefined", "a\0b", "locale"])
def test_what_is_no_encoding_of_text_is_refused_with_some_that_are(read, name):
    refused(read, csv_file("a,b\n1,2\n"), match="encoding.*; use one of utf-8, ", encoding=name)


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp", "cp037", "utf-16", "utf-32"])
def test_every_encoding_of_text_can_be_named(read, encoding):
    table = read(
        csv_file("number,a\n1,カタ\n2,x\n".replace("カタ", "é" if encoding == "cp037" else "カタ").encode(encoding)),
        encoding=encoding,
    )
    assert table["a"][0] in ("カタ", "é")
    assert table["number"] == [1, 2]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"plain", "utf-8"),
        ("grün".encode(), "utf-8"),
        ("grün".encode("cp1252"), "cp1252"),
        (b"\x81\xff", "latin-1"),
        ("a,b\n1,2\n".encode("utf-16"), "utf-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "utf-16-le"),
        ("a,b\n1,2\n".encode("utf-8-sig"), "utf-8-sig"),
        (b"", "utf-8"),
    ],
)
def test_encodings_are_told_apart(file, content, encoding):
    assert encoding_of(file(content), "d.csv") == encoding


def test_a_character_cut_by_a_chunk_is_no_damage(file):
    """Files are read by the mebibyte; each of these cuts puts the boundary at another byte of the characters."""
    for cut in range(1, 10):
        start = b"a" * ((1 << 20) - cut)
        assert encoding_of(file(start + "ü€𝄞ü".encode()), "d.csv") == "utf-8"
    assert encoding_of(file(start + "ü".encode() + b"\xc3"), "d.csv") != "utf-8"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("gbk", "年龄,收入,城市,购买,北京,深圳,上海"),
        ("big5", "年齡,收入,城市,購買,臺北,高雄,臺中"),
        ("shift_jis", "年齢,収入,都市,東京,大阪,カタカナ,ひらがな"),
        ("euc_jp", "年齢,収入,都市,東京,大阪,カタカナ,ひらがな"),
        ("euc_kr", "나이,소득,도시,서울,부산,대구,구매"),
        ("utf-16", "年龄,收入,城市,购买,北京,深圳,上海"),
        ("utf-32", "年龄,收入,城市,购买,北京,深圳,上海"),
    ],
)
def test_east_asian_text_is_read_and_the_encoding_is_said(read, encoding, words):
    first, second, *cities = words.split(",")
    rows = [f"{number + 20},{number * 1.5},{city}" for number, city in enumerate(cities * 3)]
    table = read(csv_file("\n".join([f"{first},{second},c", *rows]).encode(encoding)))
    assert list(table.types) == [first, second, "c"]
    assert table["c"] == cities * 3
    assert f"read as {encoding}" in table.notes


@pytest.mark.parametrize(
    "text", ["AÇÃO,SÃO,AÇÕES,MÃE", "Äpfel,Öl,süß,größer,œuvre", "naïve,créée,Noël,À côté", "Ñandú,¿qué?,señor"]
)
def test_western_text_is_not_taken_for_another(file, text):
    assert encoding_of(file(f"a,b,c,d\n{text}\n".encode("cp1252")), "d.csv") == "cp1252"


@pytest.mark.parametrize(
    ("encoding", "words"), [("cp1251", "возраст,доход"), ("cp1253", "ηλικία,εισόδημα"), ("koi8_r", "возраст,доход")]
)
def test_text_that_is_hardly_western_is_doubted(read, encoding, words):
    table = read(csv_file(f"{words}\n1,2\n3,4\n".encode(encoding)))
    assert "set data.sources.data.encoding: cp1251" in table.notes
