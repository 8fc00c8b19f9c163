"""The server of a deployment: the stable version, beside it the version on trial, and requests divided by their ids.

What is to be served is looked up in ``desired.json`` five times a second. A version is loaded beside those that answer and exchanged
between two requests, so none is lost. Before it is loaded, its approval is verified with the store's own digests.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from infra.approvals import standing
from infra.approvals.statement import Decision
from infra.deployments import state
from infra.deployments.state import Desired, Status, Version
from infra.deployments.trials import Window, alarm
from infra.places import open_store
from infra.runs.records import now
from infra.serving import log
from infra.serving.app import Server
from infra.serving.model import Model, load
from infra.serving.settings import Settings
from model_code.serving import Predictor
from steps.errors import FourscoreError

_INTERVAL = 0.2
"""Seconds between two looks at what people want."""
VERSION = "x-fourscore-run"
"""The header of an answer that names the run of the model that gave it."""

Check = Callable[[Desired, Version], tuple[Path, str]]
"""Returns the directory of a version's model and the digest that was approved; raises FourscoreError where none was."""


class ObservedPredictor:
    """A predictor whose predictions are counted."""

    def __init__(self, predictor: Any, window: Window) -> None:
        self.observed, self._window = predictor, window

    def __getattr__(self, name: str) -> Any:
        return getattr(self.observed, name)

    def answers(self, *arguments: Any, **options: Any) -> Any:
        table = self.observed.answers(*arguments, **options)
        self._window.predicted(table["prediction"].to_list())
        return table

    def answer_records(self, *arguments: Any, **options: Any) -> Any:
        rows = self.observed.answer_records(*arguments, **options)
        self._window.predicted([row["prediction"] for row in rows or ()])
        return rows


@dataclass
class LoadedVersion:
    """A version whose model is in memory."""

    version: Version
    model: Model
    window: Window = field(default_factory=Window)

    def __post_init__(self) -> None:
        predictor = getattr(self.model.predictor, "observed", self.model.predictor)
        self.model.predictor = cast("Predictor", ObservedPredictor(predictor, self.window))


def approved_model(workspace: Path, sources: list[str]) -> Check:
    """Return the function that says where the model of a version is, if its approval stands.

    Args:
        sources: the names of inputs that no execution wrote.
    """

    def check(target: Desired, version: Version) -> tuple[Path, str]:
        store = open_store(workspace, target.store)
        entry = standing.of_training(store, version.training, sources)
        assert isinstance(entry.content, Decision)
        return store.open(version.training, "model"), entry.content.model_digest

    return check


class Versions:
    """What is in memory, and what becomes of it when people want something else or a trial ends."""

    def __init__(self, directory: Path, check: Check) -> None:
        """Load the stable version.

        Raises:
            FourscoreError: there is none, it is not approved, or it cannot be loaded.
        """
        self.directory, self._check = directory, check
        target = state.desired(directory)
        if target is None or target.stable is None:
            raise FourscoreError(f"{directory.name}: nothing is deployed")
        self.target = target
        self.previous: LoadedVersion | None = None
        """The version before, kept in memory so that the way back takes no time."""
        self.trial: LoadedVersion | None = None
        self.stable = self._loaded(target, target.stable)
        self.trial_ends = 0.0
        self.address, self.reason = "", ""
        self._status: Status | None = None
        self.last_request: str | None = None
        if target.trial:
            self._begin_trial(target)

    def choose(self, request_id: str) -> LoadedVersion:
        """Return the version that answers a request: always the same for the same id while a trial goes on."""
        trial = self.trial
        if trial is None:
            return self.stable
        place = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8]) / 2**64
        return trial if place < self.target.share else self.stable

    def follow(self) -> None:
        """Come to what people want now, and end a trial that is worse or over."""
        target = state.desired(self.directory)
        if target is not None and target.number != self.target.number:
            self._come_to(target)
        elif self.trial is not None:
            if reason := alarm(self.trial.window, self.stable.window, self.target.shift):
                self._end_trial(accepted=False, reason=reason)
            elif time.monotonic() >= self.trial_ends:
                self._end_trial(accepted=True, reason="")

    def say(self) -> None:
        """Write what the server does, if that has changed."""
        current = self.status()
        if self._status is None or replace(self._status, time=current.time) != current:
            state.say(self.directory, current)
            self._status = current

    def status(self) -> Status:
        trial = self.trial
        return Status(
            number=self.target.number,
            state="trial" if trial else "refused" if self.reason else "serving",
            address=self.address,
            pid=os.getpid(),
            stable=self.stable.version.run,
            trial=trial.version.run if trial else None,
            reason=self.reason,
            time=now(),
            last_request=self.last_request,
        )

    def _loaded(self, target: Desired, version: Version) -> LoadedVersion:
        """Return a version whose approval stands, with the model that is in memory already where it is that of the version before."""
        directory, digest = self._check(target, version)
        previous = self.previous
        model = previous.model if previous and previous.model.digest == digest else load(directory, digest=digest)
        model.keeps_evidence = target.capture
        return LoadedVersion(version, model)

    def _come_to(self, target: Desired) -> None:
        self.reason = ""
        if target.trial and (self.trial is None or self.trial.version != target.trial):
            self._begin_trial(target)
            return
        if target.trial is None:
            self.trial = None
        if target.stable and target.stable != self.stable.version:
            try:
                self.previous, self.stable = self.stable, self._loaded(target, target.stable)
            except (FourscoreError, OSError) as error:
                self.reason = str(error)
        self.target = target

    def _begin_trial(self, target: Desired) -> None:
        assert target.trial is not None
        self.target = target
        try:
            self.trial = self._loaded(target, target.trial)
        except (FourscoreError, OSError) as error:
            self._end_trial(accepted=False, reason=str(error))
            return
        self.trial_ends = time.monotonic() + target.seconds

    def _end_trial(self, *, accepted: bool, reason: str) -> None:
        ended = state.end_trial(self.directory, self.target.number, accepted=accepted, reason=reason)
        if ended is None:
            return  # people have changed their minds, and the next look comes to that
        if accepted and self.trial:
            self.previous, self.stable = self.stable, self.trial
        self.trial, self.reason, self.target = None, reason, ended
        log.write("trial", accepted=accepted, reason=reason, run=self.stable.version.run)


class DeploymentServer(Server):
    """A server of several versions, whose answers name the one that gave them."""

    def __init__(self, versions: Versions, settings: Settings) -> None:
        super().__init__(versions.stable.model, settings)
        self.versions = versions

    @property
    def model(self) -> Model:
        return self.versions.stable.model

    async def answer(self, request: Request) -> Response:
        request_id = request.headers.get("x-request-id") or uuid.uuid4().hex
        chosen = self.versions.choose(request_id)
        request.state.chosen = chosen
        self.versions.last_request = f"{now()[:16]}Z"  # to the minute, since the file is written when it changes
        started = time.perf_counter()
        response = await super().answer(request)
        chosen.window.answered(time.perf_counter() - started, failed=response.status_code == 500)
        response.headers[VERSION] = chosen.version.run
        return response

    def model_of(self, request: Request) -> Model:
        model: Model = request.state.chosen.model
        return model


def watch(versions: Versions, stop: threading.Event) -> threading.Thread:
    """Follow what people want in a thread until the event is set."""

    def work() -> None:
        while not stop.wait(_INTERVAL):
            try:
                versions.follow()
                versions.say()
            except Exception as error:  # noqa: BLE001 - the server goes on answering
                log.write("watch", **log.failure(error))

    thread = threading.Thread(target=work, name="watch", daemon=True)
    thread.start()
    return thread
