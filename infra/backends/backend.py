"""The interface of a backend, which runs a plan in this process or in one that outlives it."""

from typing import Any, Protocol, runtime_checkable

from infra.runs.plan import Plan, Reporter
from infra.runs.records import RunRecord


class Backend(Protocol):
    """Runs plans."""

    def run(self, plan: Plan, record: RunRecord, reporter: Reporter) -> RunRecord:
        """Run what is not cached, keep ``record`` true on disk at every change, and return it when it is finished.

        Raises:
            FourscoreError: whatever stopped the run.
        """


@runtime_checkable
class Detached(Backend, Protocol):
    """Runs plans as executions that go on without this process."""

    def estimate(self, plan: Plan, problem: str) -> dict[str, Any]:
        """Return jobs, minutes and dollars of a plan, checked as if it were sent.

        Raises:
            InputError: the run could cost more than its cap, or asks for something that the backend does not have.
        """

    def attach(self, record: RunRecord, reporter: Reporter) -> RunRecord:
        """Follow the run's execution to its end; a run that is over stays as it is.

        Raises:
            FourscoreError: as :meth:`run`.
        """

    def stop(self, record: RunRecord) -> None:
        """Ask the run's execution to stop; its work gets the time that it needs to keep its checkpoint.

        Raises:
            InputError: it is over already.
        """

    def retry(self, record: RunRecord, reporter: Reporter) -> RunRecord:
        """Continue an execution that failed or was stopped from what did not succeed, and follow it.

        Raises:
            InputError: it is active, or it succeeded.
            FourscoreError: as :meth:`run`.
        """

    def refresh(self, record: RunRecord) -> bool:
        """Bring the record of an execution that nobody follows to its end; return whether it is over."""
