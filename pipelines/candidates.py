"""The candidate of a run: what a person may approve, with everything in the store that it was made from and judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.approvals import statement
from infra.approvals.statement import Subject
from infra.runs.records import RunRecord
from infra.store.manifest import CorruptExecution, Manifest
from infra.store.store import Store
from model_code.digest import directory_digest
from pipelines.provenance import UNKNOWN
from pipelines.training import TRAINING
from steps import documents
from steps.cards.document import ProblemCard, Registration, unwritten
from steps.documents import D
from steps.errors import GateRefused, InputError
from steps.evaluation import sentences
from steps.evaluation.document import Evaluation
from steps.wording import listed


@dataclass(frozen=True)
class Candidate:
    """What the store says of a run that passed."""

    run: str
    author: str
    """Who started the run; empty if that is not known."""
    registration: str
    """Key of the execution that asked to register the model."""
    training: str
    """Key of the execution that made the model."""
    request: Registration
    card: ProblemCard
    evaluation: Evaluation
    lineage: Mapping[str, Manifest]

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What an approval is about."""
        return statement.subjects(self.lineage)

    @property
    def reservations(self) -> list[str]:
        """What does as well or better, as clauses; empty for a pass without reservations."""
        return sentences.reservations(self.evaluation) if self.evaluation.grade == "reserved" else []


def candidate(store: Store, record: RunRecord) -> Candidate:
    """Return the candidate of a run, as the store has it; the run file only names the keys.

    Raises:
        InputError: the run has none.
        GateRefused: a verdict in the store is not "pass", or nobody answers for the problem.
        CorruptExecution: the model is not the one that was judged.
    """
    if record.smoke:
        raise _smoke(record.run)
    if record.status == "rejected":
        raise GateRefused(f"run {record.run} was rejected and cannot be promoted:\n{record.message}")
    record.check_outputs()
    registering = record.producer("registration")
    if record.status != "pass" or not registering or registering.status == "skipped":
        raise InputError(
            f"run {record.run} has no candidate (it is {record.status}); "
            f"finish it with 'fourscore run {record.problem_path}'"
        )
    lineage = statement.lineage_of(store, registering.key, TRAINING.sources)
    for manifest in lineage.values():
        if manifest.verdict != "pass":
            reasons = "\n".join(manifest.reasons)
            raise GateRefused(
                f"run {record.run} cannot be promoted: its stage {manifest.step} says {manifest.verdict}\n{reasons}"
            )
    inputs = {name.removeprefix("input "): key for name, key in lineage[registering.key].ingredients.items()}
    if missing := {"model", "card", "evaluation"} - inputs.keys():
        raise CorruptExecution(
            f"execution {registering.key[:12]} was made from no {min(missing)}; run the problem again"
        )
    card = _published(ProblemCard, store, inputs["card"])
    if fields := unwritten(card.model_dump()):
        raise GateRefused(
            f"run {record.run} cannot be promoted, since nobody answers for it: write the {listed(fields)} in "
            f"{record.problem_path}, then run it again (finished stages are not repeated)"
        )
    request = _published(Registration, store, registering.key)
    if request.smoke:
        raise _smoke(record.run)
    if request.verdict != "pass":
        raise GateRefused(f"run {record.run} cannot be promoted: its registration says {request.verdict}")
    evaluation = _published(Evaluation, store, inputs["evaluation"])
    model = store.open(inputs["model"], "model")
    if directory_digest(model) != request.tags["model_digest"]:
        raise CorruptExecution(f"{model} is not the model that run {record.run} judged; run the problem again")
    author = record.provenance.get("Run by", UNKNOWN)
    return Candidate(
        record.run,
        "" if author == UNKNOWN else author,
        registering.key,
        inputs["model"],
        request,
        card,
        evaluation,
        lineage,
    )


def _published(kind: type[D], store: Store, key: str) -> D:
    """Return a document that an execution published; raises CorruptExecution where it has none."""
    try:
        return documents.read(kind, store.open(key, kind.artifact))
    except FileNotFoundError as error:
        raise CorruptExecution(f"execution {key[:12]} has no {error.filename}; run the problem again") from None


def _smoke(run: str) -> InputError:
    return InputError(f"run {run} is a smoke run on a sample; only a whole run has a candidate")
