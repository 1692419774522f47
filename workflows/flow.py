"""What every workflow has: the query `status`, current details for the Web UI, a deadline."""

import asyncio
import math
from collections import deque
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from durable_agents.models.errors import DeadlineExceededError, DurableAgentsError
    from durable_agents.models.status import Phase, Progress, RunStatus, State, Usage

PHASE = SearchAttributeKey.for_keyword("Phase")
STEPS_SHOWN = 50
CANCELLED = "The run was cancelled."

Result = TypeVar("Result")


class Flow:
    """Base of the workflows: keeps where a run is and ends it at its deadline."""

    has_own_trace: ClassVar[bool] = False
    """Whether each run is a trace of its own, linked to that of what started it."""

    def __init__(self) -> None:
        self._state: State = "running"
        self._phase: Phase = "running"
        self._current: list[str] = []
        self._steps: deque[str] = deque(maxlen=STEPS_SHOWN)
        self._steps_done = 0
        self._error = ""
        self._waiting_for = ""
        self._note = ""
        self._usage = Usage()
        self._deadline: asyncio.Timeout | None = None
        self._left = math.inf
        self._allowed: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resting = 0
        self._progress: Progress | None = None

    @workflow.query(name="status", description="Where the run is: state, step, error, usage.")
    def status(self) -> RunStatus:
        """Tell where the run is."""
        return RunStatus(
            state=self._state,
            phase=self._phase if self._state == "running" else "ended",
            step=", ".join(self._current),
            steps=tuple(self._steps),
            steps_done=self._steps_done,
            waiting_for=self._waiting_for,
            note=self._note,
            error=self._error,
            usage=self._usage,
            progress=self._progress,
        )

    async def _to_deadline(
        self, seconds: float | None, work: Coroutine[Any, Any, Result], *, left: float | None = None
    ) -> Result:
        """Run the work, and end it when the deadline passes; None is for what has no deadline.

        The deadline is a timer of the workflow: an execution timeout would run no code. `left`
        is what is left of it in a run that goes on for another.

        Raises:
            DeadlineExceededError: The work did not end in time.
        """
        allowed = seconds if left is None else left
        self._deadline = deadline = asyncio.timeout(allowed)
        self._loop = asyncio.get_running_loop()
        workflow.register_random_seed_callback(self._heed_reset)
        try:
            async with deadline:
                self._allowed = allowed
                try:
                    result = await work
                finally:
                    self._allowed = None
        except workflow.ContinueAsNewError:
            raise
        except BaseException as error:
            ending = self._ended_by(error, seconds if deadline.expired() else None)
            if ending is error:
                raise  # `from error` would make it its own cause
            raise ending from error
        self._state = "completed"
        return result

    def _heed_reset(self, _seed: int) -> None:
        """Note that the run was reset: it has a new seed then, and nothing runs yet."""
        if self._loop is not None:
            self._loop.call_soon(self._begin_deadline_anew)

    def _begin_deadline_anew(self) -> None:
        """Give a run that was reset its whole deadline: the one before may be long over."""
        if self._allowed is None or self._deadline is None or self._deadline.expired():
            return
        if self._resting:
            self._left = self._allowed
        else:
            self._deadline.reschedule(asyncio.get_running_loop().time() + self._allowed)

    @property
    def seconds_left(self) -> float:
        """What is left of the deadline now; infinite where there is none."""
        when = self._deadline.when() if self._deadline is not None else None
        return self._left if when is None else when - asyncio.get_running_loop().time()

    @contextmanager
    def off_the_clock(self) -> Generator[None]:
        """Let the deadline rest while this lasts, and go on with what was left of it then.

        Several may rest side by side: the deadline goes on when the last one ends. Where there is
        none, none begins.
        """
        self._resting += 1
        if self._resting == 1 and self._deadline is not None and not self._deadline.expired():
            self._left = self.seconds_left
            self._deadline.reschedule(None)
        try:
            yield
        finally:
            self._resting -= 1
            at_work = workflow.in_workflow()  # not so when a worker forgets the run
            is_over = self._deadline is None or self._deadline.expired()
            has_end = self._left < math.inf
            if self._deadline and has_end and at_work and not self._resting and not is_over:
                self._deadline.reschedule(asyncio.get_running_loop().time() + self._left)

    def _ended_by(self, error: BaseException, deadline: float | None) -> BaseException:
        """Note how the run ends, and name a deadline that has passed."""
        stopped = is_cancelled_exception(error)
        if deadline is not None and (stopped or isinstance(error, TimeoutError)):
            error = DeadlineExceededError(
                f"The run did not end within {deadline:g} s. Give it a longer deadline_s."
            )
            stopped = False
        self._state = "cancelled" if stopped else "failed"
        self._error = CANCELLED if stopped else reason_of(error)
        return error

    def take_up(self, usage: Usage, steps_done: int) -> None:
        """Go on counting where the run before in the chain left off."""
        self._usage = usage
        self._steps_done = steps_done

    def add_usage(self, usage: Usage) -> None:
        """Count what a model call used."""
        self._usage = self._usage + usage

    def enter_phase(self, phase: Phase) -> None:
        """Show the phase in the status, and as the search attribute `Phase`.

        Of runs that ended the server's own `ExecutionStatus` tells; that costs no event.
        """
        if phase != self._phase:
            self._phase = phase
            workflow.upsert_search_attributes([PHASE.value_set(phase)])  # pyright: ignore[reportUnknownMemberType] - the SDK's type

    @contextmanager
    def step(self, name: str, details: str = "") -> Generator[None]:
        """Show a step while it runs, and count it when it is done."""
        self._current.append(name)
        workflow.set_current_details(f"**{name}** {details}".rstrip())
        try:
            yield
        finally:
            self._current.remove(name)
        self._steps.append(name)
        self._steps_done += 1


def reason_of(error: BaseException) -> str:
    """The message of the failure that a step raised."""
    error = raised_in(error)
    message = error.message if isinstance(error, FailureError) else str(error)
    return message or type(error).__name__


def type_of(error: BaseException) -> str:
    """The name of the class of the failure that a step raised."""
    raised = raised_in(error)
    named = raised.type if isinstance(raised, ApplicationError) else None
    return named or type(raised).__name__


def is_type(error: BaseException, kind: type[DurableAgentsError]) -> bool:
    """Whether the failure that a step raised is an error of this class."""
    raised = raised_in(error)
    return isinstance(raised, ApplicationError) and raised.type == kind.__name__


def is_final(error: BaseException) -> bool:
    """Whether the failure that a step raised is one that trying again could not mend."""
    raised = raised_in(error)
    return isinstance(raised, ApplicationError) and raised.non_retryable


def raised_in(error: BaseException) -> BaseException:
    """The failure inside the SDK's wrappings; what caused it in turn is not meant for people."""
    while isinstance(error, FailureError) and error.cause is not None:
        if isinstance(error, ApplicationError):
            return error
        error = error.cause
    return error
