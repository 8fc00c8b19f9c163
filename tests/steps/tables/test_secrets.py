"""Credentials in columns: refused until they are ignored or hashed, and in no byte that new or a run leaves."""

import base64
import contextlib
import gzip
import random
import re
import sqlite3
import string
import zipfile

import polars as pl
import pytest
from cli import fourscore

from pipelines.problem.loading import load
from pipelines.propose.proposal import describe, propose, write
from steps import documents
from steps.credentials import masked
from steps.ingest import IngestConfig, ingest
from steps.journal import Journal, read_events
from steps.tables.schema import TableSchema
from steps.tables.secrets import SecretValues, find_secrets

ROWS = 60
R = random.Random(0)  # noqa: S311 - examples


def letters(count, alphabet=string.ascii_letters + string.digits):
    return "".join(R.choices(alphabet, k=count))


def url_safe(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


CREDENTIALS = {
    "AWS access keys": lambda: "AKIA" + letters(16, string.ascii_uppercase + string.digits),
    "GitHub tokens": lambda: "ghp_" + letters(36),
    "GitLab tokens": lambda: "glpat-" + letters(20),
    "Slack tokens": lambda: f"xoxb-{R.randrange(10**11)}-{letters(24)}",
    "Stripe keys": lambda: "sk_live_" + letters(24),
    "Google keys": lambda: "AIza" + letters(35),
    "API keys": lambda: "sk-proj-" + letters(40),
    "private keys": lambda: f"-----BEGIN RSA PRIVATE KEY----- {letters(64)} -----END RSA PRIVATE KEY-----",
    "JSON web tokens": lambda: ".".join(
        [url_safe('{"alg":"HS256"}'), url_safe(f'{{"sub":"{letters(9)}"}}'), letters(43)]
    ),
    "passwords": lambda: f"Server=db.example.org;Database=shop;User Id=app;Password={letters(12)};",
    "addresses with a password": lambda: f"postgresql://app:{letters(12)}@db.example.org:5432/shop",
    "bearer tokens": lambda: f"Bearer {letters(40)}",
}


def table_of(values):
    rows = len(values)
    return pl.DataFrame(
        {
            "age": [20 + n * 7 % 50 for n in range(rows)],
            "secret": values,
            "bought": ["yes" if n * 7 % 50 + n % 9 > 25 else "no" for n in range(rows)],
        }
    )


def ingested(place, frame, **columns):
    (place / "raw/t").mkdir(parents=True)
    (place / "table").mkdir()
    frame.write_csv(place / "raw/t/t.csv")
    with Journal(place / "journal.jsonl") as log:
        config = IngestConfig(sources={"t": {"path": "t.csv"}}, columns=columns, target="bought")
        ingest(place / "raw", place / "table", config, log)
    return pl.read_parquet(place / "table/data.parquet", glob=False)


def bytes_left(place, but=()):
    """Everything below a folder as bytes: files, what is packed in them, the values of tables, what strings would show."""
    for file in place.rglob("*"):
        if file.is_file() and file not in but:
            content = file.read_bytes()
            yield file, content
            if content[:4] == b"PAR1":
                yield file, repr(pl.read_parquet(file, glob=False).rows()).encode()
            if content[:2] == b"\x1f\x8b":
                yield file, gzip.decompress(content)
            if content[:4] == b"PK\3\4":
                with zipfile.ZipFile(file) as archive:
                    yield from ((file, archive.read(member)) for member in archive.namelist())
            if content[:15] == b"SQLite format 3":  # which may divide a value between two pages
                with contextlib.closing(sqlite3.connect(file)) as database:
                    yield file, "\n".join(database.iterdump()).encode()


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_column_of_credentials_is_refused_until_it_is_ignored_or_hashed(tmp_path, kind):
    values = [CREDENTIALS[kind]() for _ in range(ROWS)]
    with pytest.raises(SecretValues) as caught:
        ingested(tmp_path / "refused", table_of(values))
    assert f"column 'secret': 60 of 60 values look like {kind}" in str(caught.value)
    assert "data.columns.secret: {role: ignore}" in str(caught.value)
    ignored = ingested(tmp_path / "ignored", table_of(values), secret={"role": "ignore"})
    assert ignored["secret"].null_count() == ROWS
    hashed = ingested(tmp_path / "hashed", table_of(values), secret={"role": "key", "hash": True})
    assert hashed["secret"].n_unique() == ROWS
    raw = [place / "raw/t/t.csv" for place in (tmp_path / "refused", tmp_path / "ignored", tmp_path / "hashed")]
    for file, content in bytes_left(tmp_path, but=raw):
        assert not any(value[-12:].strip(" -;").encode() in content for value in values), file


def test_equal_values_have_equal_digests_and_gaps_stay_gaps(tmp_path):
    key = CREDENTIALS["AWS access keys"]
    pair = [key(), key()]
    frame = table_of([None if n % 10 == 0 else pair[n % 2] for n in range(ROWS)])
    hashed = ingested(tmp_path, frame, secret={"role": "group", "hash": True})["secret"]
    assert (hashed.n_unique(), hashed.null_count()) == (3, 6)
    assert documents.read(TableSchema, tmp_path / "table").columns[1].role == "group"


def test_a_digest_is_no_feature():
    with pytest.raises(ValueError, match="hash needs role key, group or ignore"):
        IngestConfig(sources={"t": {"path": "t.csv"}}, columns={"secret": {"hash": True}})


@pytest.mark.parametrize(
    "values",
    [
        [f"please reset my password, user {n} cannot log in" for n in range(ROWS)],
        [f"password: user {n} forgot it" for n in range(ROWS)],
        [f"https://example.org/items/{n}?page=2&key=name" for n in range(ROWS)],
        [f"user{n}@example.org" for n in range(ROWS)],
        [f"{n:032x}" for n in range(ROWS)],
        [f"ASIA PACIFIC {n}" for n in range(ROWS)],
        [f"sk-{n}" for n in range(ROWS)],
        [f"SKU{n:08}" for n in range(ROWS)],
        ["wrote Password=hunter2 once", *(f"a long text number {n}" for n in range(ROWS * 4 - 1))],
        [f"ratio 1:{n}@home" for n in range(ROWS)],
        ["Bearer of good news"] * ROWS,
    ],
)
def test_ordinary_text_is_not_taken_for_credentials(tmp_path, values):
    pl.DataFrame({"note": values}).write_parquet(tmp_path / "data.parquet")
    assert [*find_secrets(tmp_path / "data.parquet", ["note"])] == []


def test_long_values_of_a_column_that_is_named_like_a_secret_are_credentials(tmp_path):
    frame = pl.DataFrame({"api_key": [letters(30) for _ in range(ROWS)], "code": [letters(30) for _ in range(ROWS)]})
    frame.write_parquet(tmp_path / "data.parquet")
    assert [secret.column for secret in find_secrets(tmp_path / "data.parquet", frame.columns)] == ["api_key"]


def test_new_leaves_credentials_out_and_asks(tmp_path):
    values = [CREDENTIALS["Stripe keys"]() for _ in range(3)]
    table_of([values[n % 3] for n in range(ROWS)]).write_csv(tmp_path / "t.csv")
    proposal = propose(tmp_path / "p", [str(tmp_path / "t.csv")], "bought")
    text = describe(proposal)
    write(proposal)
    assert "column 'secret': 60 of 60 values look like Stripe keys: they are left out" in text
    assert load(tmp_path / "p/problem.yaml").problem.data.columns["secret"].role == "ignore"
    files = text + "".join(file.read_text() for file in (tmp_path / "p").iterdir())
    assert not any(value in files for value in values)


def test_no_byte_that_new_and_a_run_leave_holds_a_credential(tmp_path):
    keys = [CREDENTIALS["AWS access keys"]() for _ in range(4)]
    table_of([keys[n % 4] for n in range(4 * ROWS)]).write_csv(tmp_path / "t.csv")
    place = tmp_path / "place"
    place.mkdir()
    new = fourscore("new", "p", "--data", "../t.csv", "--target", "bought", "--yes", cwd=place)
    ran = [fourscore("run", "p/problem.yaml", "--until", "split", "--no-tracking", cwd=place)]
    for column in ("{role: feature}", "{role: key, hash: true}"):
        setting = ("--set", f"data.columns.secret={column}")
        ran.append(fourscore("run", "p/problem.yaml", "--until", "split", "--no-tracking", *setting, cwd=place))
    assert [new.returncode, *(result.returncode for result in ran)] == [0, 0, 2, 0], [
        new.stderr,
        *(r.stderr for r in ran),
    ]
    synced = fourscore("runs", "--sync", cwd=place)
    assert synced.returncode == 0, synced.stderr
    printed = "".join(result.stdout + result.stderr for result in (new, *ran, synced))
    assert "240 of 240 values look like AWS access keys" in printed
    assert not any(key in printed for key in keys)
    contents = list(bytes_left(place))
    assert any(file.name == "mlflow.db" and b"metrics" in content for file, content in contents)
    assert any("mlartifacts" in file.parts for file, _ in contents)
    for file, content in contents:
        assert not any(key.encode() in content for key in keys), file


def test_a_stray_credential_reaches_no_journal(tmp_path):
    key = CREDENTIALS["GitHub tokens"]()
    events = []
    with Journal(tmp_path / "journal.jsonl", events.append) as log:
        log.warning(f"column 'x': 1 value is no number: {key!r}")  # noqa: G004 - no logger
    (event,) = read_events(tmp_path / "journal.jsonl")
    assert event["text"] == events[0]["text"] == "column 'x': 1 value is no number: '***'"


@pytest.mark.parametrize("kind", CREDENTIALS)
def test_a_message_is_shown_without_credentials(kind):
    value = CREDENTIALS[kind]()
    secret = re.findall(r"[A-Za-z0-9]{9,}", value)[-1]
    assert secret not in masked(f"found '{value}' here")
