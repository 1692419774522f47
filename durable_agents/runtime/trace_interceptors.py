"""Spans of what Temporal does: starting a run, its running, its messages, its activities.

The SDK's own interceptor carries the trace along, in headers that history keeps, and its tracer
sees to replays: a span of a workflow has the same id in each replay and ends once. The spans are
ours, so that they say what failed by its name, leave queries out, which commands ask all the time,
and cost little.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import (
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.contrib.opentelemetry import OpenTelemetryInterceptor
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowRunner,
)
from temporalio.worker import Interceptor as WorkerInterceptor
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from durable_agents.telemetry.redaction import SECRETS
from durable_agents.telemetry.spans import SPANS, Span


def tracing_plugin() -> SimplePlugin:
    """What client and workers need for traces; given first, so that it is around all else."""
    # The first is outermost: the span of a start is to be in the header of the run.
    interceptors = [_StartSpans(), OpenTelemetryInterceptor(), _RunSpans()]
    return SimplePlugin(
        "durable-agents-tracing", interceptors=interceptors, workflow_runner=_passing
    )


def _passing(runner: WorkflowRunner | None) -> WorkflowRunner:
    """The runner, with OpenTelemetry's library let through the sandbox."""
    assert runner is not None  # noqa: S101 - a worker has one
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner
    restrictions = runner.restrictions.with_passthrough_modules("opentelemetry")
    return replace(runner, restrictions=restrictions)


def _place(workflow_id: str | None, run_id: str | None = None, **more: str | int) -> dict[str, Any]:
    """Attributes that say where, as the SDK names them."""
    place: dict[str, Any] = {"temporalWorkflowID": SECRETS.redact(workflow_id or "")}
    if run_id:
        place["temporalRunID"] = run_id
    return place | more


class _StartSpans(ClientInterceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK names it
        return _Starting(next)


class _Starting(OutboundInterceptor):
    async def start_workflow(
        self,
        input: StartWorkflowInput,  # noqa: A002 - the SDK names it
    ) -> WorkflowHandle[Any, Any]:
        prefix = "SignalWithStartWorkflow" if input.start_signal else "StartWorkflow"
        with SPANS.span(f"{prefix}:{input.workflow}", "client", _place(input.id)):
            return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:  # noqa: A002 - the SDK names it
        with SPANS.span(f"SignalWorkflow:{input.signal}", "client", _place(input.id)):
            await super().signal_workflow(input)

    async def start_workflow_update(
        self,
        input: StartWorkflowUpdateInput,  # noqa: A002 - the SDK names it
    ) -> WorkflowUpdateHandle[Any]:
        with SPANS.span(f"StartWorkflowUpdate:{input.update}", "client", _place(input.id)):
            return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002 - the SDK names it
    ) -> WorkflowUpdateHandle[Any]:
        started = input.start_workflow_input
        name = f"StartUpdateWithStartWorkflow:{started.workflow}"
        with SPANS.span(name, "client", _place(started.id)):
            return await super().start_update_with_start_workflow(input)


class _RunSpans(WorkerInterceptor):
    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK names it
    ) -> ActivityInboundInterceptor:
        return _Acting(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK names it
    ) -> type[WorkflowInboundInterceptor]:
        return _Running


class _Acting(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK names it
        info = activity.info()
        if info.is_local:  # milliseconds in our database; a span would cost as much
            return await super().execute_activity(input)
        place = _place(
            info.workflow_id,
            info.workflow_run_id,
            temporalActivityID=info.activity_id,
            attempt=info.attempt,
        )
        with SPANS.span(f"RunActivity:{info.activity_type}", "server", place):
            return await super().execute_activity(input)


class _Running(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002 - the SDK names it
        apart = bool(getattr(input.type, "has_own_trace", False))
        with _of_run(f"RunWorkflow:{workflow.info().workflow_type}", apart=apart):
            return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002 - the SDK names it
        with _of_run(f"HandleSignal:{input.signal}"):
            await super().handle_signal(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002 - the SDK names it
        with _of_run(f"HandleUpdate:{input.update}"):
            return await super().handle_update_handler(input)


def _of_run(name: str, *, apart: bool = False) -> Span:
    info = workflow.info()
    place: Mapping[str, Any] = _place(info.workflow_id, info.run_id)
    return SPANS.span(name, "server", place, apart=apart)
