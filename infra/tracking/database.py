"""The MLflow database of a workspace: made beside and renamed, so that it is whole or not there.

MLflow makes and migrates its tables in many steps that are no transaction. A process that is killed meanwhile would leave
a file that no MLflow opens again. What a database holds can be projected again from the run files and the journals.
"""

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
ARTIFACTS = "mlartifacts"
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Tables and columns with absolute places, which a workspace that was moved or copied no longer has."""
_OF_NAME = "WHERE workspace = 'default' AND name = ?"
_DELETED = "Deleted_Internal"
"""The stage of versions that MLflow no longer shows."""


def fault_of(path: Path) -> str | None:
    """Return what is wrong with a database in words, or None."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    latest = _get_latest_schema_revision()
    try:
        with closing(_open(path)) as connection:
            (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            revision = None
            if "alembic_version" in tables:
                (revision,) = connection.execute("SELECT max(version_num) FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in UNREADABLE:
            raise
        state, revision = str(error), latest
    if state != "ok":
        return f"it is damaged ({state})"
    return None if revision == latest else "its tables are half made, or those of another version of MLflow"


def prepare(path: Path) -> None:
    """Make the database if it is missing; migrate a copy of an older one, and begin anew if that fails.

    What cannot be repaired is kept beside as ``mlflow.db.damaged-<seconds>``.
    """
    if path.exists() and fault_of(path) is None:
        _relocate(path)
        return
    new = path.with_name(f".{path.name}.new")
    if path.exists():
        try:
            _remove(new)
            shutil.copyfile(path, new)
            _migrate(new)
            new.replace(path)
            return
        except Exception:  # noqa: BLE001  alembic and SQLAlchemy raise errors of many kinds over half-made tables
            path.rename(path.with_name(f"{path.name}.damaged-{int(time.time())}"))
    _remove(new)
    _migrate(new)
    new.replace(path)


def holds(path: Path, run_id: str) -> bool:
    """Return whether the database has a run of MLflow; a file that was lost or damaged has none."""
    try:
        with closing(_open(path)) as connection:
            return connection.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,)).fetchone() is not None
    except sqlite3.DatabaseError:
        return False


def registered(path: Path, name: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Return the aliases of a registered model and the tags of its versions; importing MLflow for that takes seconds.

    Raises:
        sqlite3.Error: there is no such file, it is damaged, or this version of MLflow keeps other tables.
    """
    with closing(_open(path)) as connection:
        rows = connection.execute(f"SELECT alias, version FROM registered_model_aliases {_OF_NAME}", [name])  # noqa: S608
        aliases = {alias: str(number) for alias, number in rows}
        rows = connection.execute(f"SELECT version, current_stage FROM model_versions {_OF_NAME}", [name])  # noqa: S608
        versions: dict[str, dict[str, str]] = {str(number): {} for number, stage in rows if stage != _DELETED}
        rows = connection.execute(f"SELECT version, key, value FROM model_version_tags {_OF_NAME}", [name])  # noqa: S608
        for number, key, value in rows:
            versions.get(str(number), {})[key] = value
    return aliases, versions


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)


def _remove(path: Path) -> None:
    for name in (path.name, f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def _migrate(path: Path) -> None:
    """Make the tables in a file, or bring them to this version of MLflow."""
    from mlflow.store.db import utils
    from sqlalchemy import create_engine

    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    try:
        migrate = utils._upgrade_db if path.exists() else utils._initialize_tables  # noqa: SLF001  what `mlflow db` calls
        migrate(engine)
    finally:
        engine.dispose()


def _relocate(path: Path) -> None:
    """Let the database of a workspace that was moved or copied name its own artifacts, not those of the original."""
    root = (path.absolute().parent / ARTIFACTS).as_uri()
    with closing(_open(path)) as connection, connection:
        for table, column in PLACES:
            start = f"instr({column} || '/', '/{ARTIFACTS}/')"
            foreign = f"{column} LIKE 'file://%' AND {start} AND substr({column}, 1, {len(root)}) != ?"
            if connection.execute(f"SELECT 1 FROM {table} WHERE {foreign}", [root]).fetchone():  # noqa: S608  our own names
                moved = f"? || substr({column}, {start} + {len(ARTIFACTS) + 1})"
                connection.execute(f"UPDATE {table} SET {column} = {moved} WHERE {foreign}", [root, root])  # noqa: S608
