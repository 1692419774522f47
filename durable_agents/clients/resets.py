"""Resets runs to just before a step: what then runs again, and what must not be reset.

The server ends the newest run of the id if it is open, and starts another whose history is the
old one up to the workflow task that asked for the step. That task is done again, and with it
everything it asked for.
"""

import uuid
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import ResetReapplyExcludeType, VersioningBehavior
from temporalio.api.workflow.v1 import (
    PostResetOperation,
    VersioningOverride,
    WorkflowExecutionOptions,
)
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from durable_agents.clients.histories import RunSteps, Step, read_run
from durable_agents.clients.versions import look_at_queue
from durable_agents.models.errors import InputError, NotFoundError

LONGEST_CHAIN = 200  # runs of a chain that are looked at
NAMES_SHOWN = 12

_NOT_AGAIN = ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_CANCEL_REQUEST
_MESSAGES = (
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_SIGNAL,
    ResetReapplyExcludeType.RESET_REAPPLY_EXCLUDE_TYPE_UPDATE,
)


@dataclass(frozen=True)
class ResetPlan:
    """A reset that can be done.

    Attributes:
        run: The run that is reset, which is not always the newest.
        step: Before which step.
        together: All that its workflow task asked for, the step with it: it runs again.
        under_way: Activities that had begun before and ended after: they run again as well.
        waits: Timers and children that were open then: they go on, and are not begun again.
        after: What followed in the run that is left behind.
        newer: Runs of the chain after this one; what they did is left behind, too.
            is_open: Whether the newest run is open: it is terminated.
        pinned_to: The version of the workers that the run stays with; empty where it follows.
        current: The version that is current instead; None where there is no other.
    """

    run: RunSteps
    step: Step
    together: Sequence[Step]
    under_way: Sequence[Step]
    waits: Sequence[Step]
    after: Sequence[Step]
    newer: Sequence[str]
    is_open: bool
    pinned_to: str = ""
    current: WorkerDeploymentVersion | None = None

    @property
    def again(self) -> list[str]:
        """The names of the steps that run again whatever the workflow does next."""
        return [step.name for step in (*self.together, *self.under_way)]


async def chain_of(client: Client, workflow_id: str, run_id: str) -> AsyncGenerator[RunSteps]:
    """The runs of a chain whose histories the server still has, the newest first.

    Raises:
        RPCError: The server does not answer.
    """
    for _ in range(LONGEST_CHAIN):
        try:
            run = await read_run(client, workflow_id, run_id)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return
            raise
        yield run
        if not run.continues:
            return
        run_id = run.continues


async def plan_reset(
    client: Client, newest: WorkflowExecutionDescription, name: str, *, run_id: str = ""
) -> ResetPlan:
    """See what a reset to just before a step would do.

    Args:
        client: Whom to ask.
        newest: The newest run of the id, as the server describes it.
        name: The step; the newest run of the chain that has it is reset.
        run_id: Only in this run of the chain.

    Raises:
        NotFoundError: No run of the chain has the step; says which there are.
        InputError: A child of the run keeps it from being reset there; says what to do.
    """
    newer: list[str] = []
    known: list[str] = []
    async for run in chain_of(client, newest.id, newest.run_id):
        step = run.named(name)
        known = known or [step.name for step in run.steps]
        if step is not None and run_id in {"", run.run_id}:
            plan = _planned(run, step, newer, newest)
            await _check_children(client, plan)
            pinned_to, current = await _versions(client, newest)
            return replace(plan, pinned_to=pinned_to, current=current)
        newer.append(run.run_id)
    raise NotFoundError(_no_step(newest.id, name, known, len(newer), run_id))


def _planned(
    run: RunSteps, step: Step, newer: Sequence[str], newest: WorkflowExecutionDescription
) -> ResetPlan:
    at = step.asked_at
    open_then = [other for other in run.steps if other.is_open_at(at)]
    return ResetPlan(
        run=run,
        step=step,
        together=[other for other in run.steps if other.asked_at == at],
        under_way=[other for other in open_then if other.kind == "activity"],
        waits=[other for other in open_then if other.kind != "activity"],
        after=[other for other in run.steps if other.asked_at > at],
        newer=list(newer),
        is_open=newest.status == WorkflowExecutionStatus.RUNNING,
    )


async def _versions(
    client: Client, newest: WorkflowExecutionDescription
) -> tuple[str, WorkerDeploymentVersion | None]:
    """The version that a run is pinned to, and the one that is current instead of it.

    A reset keeps the version: what was mended since is not in it, and its workers may be gone.
    """
    info = newest.raw_info.versioning_info
    override = info.versioning_override.pinned
    if override.version.build_id:
        pinned = override.version
    elif info.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        pinned = info.deployment_version
    else:
        return "", None
    name = f"{pinned.deployment_name}."
    queue = await look_at_queue(client, newest.task_queue)
    if not queue.current.startswith(name) or queue.current == f"{name}{pinned.build_id}":
        return f"{name}{pinned.build_id}", None
    build_id = queue.current.removeprefix(name)
    current = WorkerDeploymentVersion(deployment_name=pinned.deployment_name, build_id=build_id)
    return f"{name}{pinned.build_id}", current


async def _check_children(client: Client, plan: ResetPlan) -> None:
    """See that the run can go on with its children.

    Raises:
        InputError: One that would be started again is still open, so that its id is taken; or the
            run would wait for the end of one that came when nobody listened.
    """
    for child in (*plan.together, *plan.after):
        if child.kind == "child workflow" and await _is_open(client, child):
            raise InputError(
                f"Run {plan.run.workflow_id} cannot be restarted from {plan.step.name}: its child "
                f"{child.name} is still at work and would be started again. Let it end, or stop it "
                f"with `durable-agents cancel {child.name}`, or restart from a step after it."
            )
    for child in plan.waits:
        heard_of = child.kind != "child workflow" or child.ended_at
        if not heard_of and not await _is_open(client, child):
            raise InputError(
                f"Run {plan.run.workflow_id} cannot be restarted from {plan.step.name}: its child "
                f"{child.name} has ended since, and the run would wait for it for ever. Restart "
                f"from {child.name}, which starts it again, or from a step before."
            )


async def _is_open(client: Client, child: Step) -> bool:
    """Whether a run of the child's id is open: a child that was reset is another run."""
    try:
        seen = await client.get_workflow_handle(child.name).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return seen.status == WorkflowExecutionStatus.RUNNING


async def reset(
    client: Client,
    plan: ResetPlan,
    *,
    reason: str,
    without_messages: bool = False,
    on_current: bool = False,
) -> str:
    """Do a reset; gives the new run.

    Signals and updates that came after that point are delivered again, cancel requests are not:
    who restarts a run wants it to go on.

    Args:
        client: Whom to ask.
        plan: What was planned.
        reason: What the history of both runs says about it.
        without_messages: Deliver no signals and updates again, either.
        on_current: Have a run that is pinned to a version go on with the current one.

    Raises:
        InputError: The server cannot reset the run there.
    """
    run = plan.run
    left_out = [_NOT_AGAIN, *(_MESSAGES if without_messages else ())]
    try:
        done = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(
                    workflow_id=run.workflow_id, run_id=run.run_id
                ),
                reason=reason,
                workflow_task_finish_event_id=plan.step.asked_at,
                request_id=str(uuid.uuid4()),
                reset_reapply_exclude_types=left_out,
                post_reset_operations=[_moved_to(plan.current)]
                if on_current and plan.current
                else [],
            ),
            retry=True,
        )
    except RPCError as error:
        if error.status != RPCStatusCode.INVALID_ARGUMENT:
            raise
        raise InputError(
            f"The server cannot reset run {run.workflow_id} to just before {plan.step.name} "
            f"({error.message.rstrip('.')}). {_earlier(plan)}"
        ) from error
    return done.run_id


def _moved_to(version: WorkerDeploymentVersion) -> PostResetOperation:
    """Has a run end on a version, whatever it was pinned to."""
    pinned = VersioningOverride.PinnedOverride(
        behavior=VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED, version=version
    )
    return PostResetOperation(
        update_workflow_options=PostResetOperation.UpdateWorkflowOptions(
            workflow_execution_options=WorkflowExecutionOptions(
                versioning_override=VersioningOverride(pinned=pinned)
            ),
            update_mask=FieldMask(paths=["versioning_override"]),
        )
    )


def _earlier(plan: ResetPlan) -> str:
    before = [step for step in plan.run.steps if step.asked_at < plan.step.asked_at]
    if not before:
        return "There is no step before it: start the run anew."
    return f"Restart from the step before it: {before[-1].name}."


def _no_step(workflow_id: str, name: str, known: Sequence[str], runs: int, run_id: str) -> str:
    where = f"run {run_id} of " if run_id else ""
    shown = ", ".join(known[-NAMES_SHOWN:]) or "none"
    more = f" (and {len(known) - NAMES_SHOWN} before)" if len(known) > NAMES_SHOWN else ""
    looked = f" Looked at {runs} runs of the chain." if runs > 1 else ""
    return (
        f"There is no step {name} in {where}{workflow_id}.{looked} Its newest run has: "
        f"{shown}{more}. `durable-agents restart {workflow_id} --list` tells what they are."
    )
