"""A workspace to project to."""

import shutil

import pytest


@pytest.fixture
def place(workspace, database):
    """A workspace with a nasty path whose MLflow database has its tables already."""
    shutil.copy(database, workspace / "mlflow.db")
    return workspace
