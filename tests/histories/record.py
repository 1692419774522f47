"""Records the histories that the replay tests read: `python -m tests.histories.record`.

Run it when a change of a workflow is meant to change its history. A file is written anew when
its workflow asked for something else than before: then runs of the release before need
`workflow.patched`. Ids and times alone change nothing.
"""

import asyncio
import base64
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from sqlalchemy import text
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from durable_agents.db import jobs, pools
from durable_agents.db.engine import Database
from durable_agents.models import queues
from durable_agents.models.analyze_document import DocumentAnalysisInput
from durable_agents.models.approval import ApprovalState
from durable_agents.models.debug import DebugInput
from durable_agents.models.external_call import ExternalCallInput
from durable_agents.models.jobs import NewJob, OnComplete
from durable_agents.models.order import OrderInput
from durable_agents.models.process_task import TaskInput
from durable_agents.models.react import ReActInput
from durable_agents.models.research import ResearchInput
from durable_agents.models.resilient_task import ResilientTaskInput
from durable_agents.models.review import ReviewInput
from durable_agents.models.route import RoutingInput
from durable_agents.models.support import SupportInput
from durable_agents.models.tracked import TrackedInput
from durable_agents.models.weather_advice import WeatherAdviceInput
from durable_agents.models.work_pool import CancelJob, PoolLaneInput
from durable_agents.runtime.connection import connect
from tests.conftest import early_server, running_services, running_workers
from tests.steering import Simulator
from tests.workflows.runs import activities_of, status_of, until, until_step

FOLDER = Path(__file__).parent

SIMULATOR = "127.0.0.1:8230"
"""What the simulator's address is called in scenes and in what is recorded."""

_HOST = re.compile(r"127\.0\.0\.1:\d+")
_PROCESS = re.compile(r"\d+@[\w.-]+")
_SAID_BY_MACHINES = {"identity": "worker", "binaryChecksum": "", "stackTrace": ""}

Handle = WorkflowHandle[Any, Any]


@dataclass(frozen=True)
class Scene:
    """A run to record; its history goes to the file `NAME.json`.

    Attributes:
        name: The stem of the workflow's module, a dot, and what happens.
        request: The input.
        match: What the faults match.
        faults: What goes wrong at the simulator.
        prepare: What is put into the database before.
        meddle: What is done to the run once it is started.
        last: What the history of the chain's last run is called. Such a scene happens on a server
            that suggests to continue as new after few events.
    """

    name: str
    request: BaseModel
    match: str = ""
    faults: tuple[dict[str, Any], ...] = ()
    meddle: Callable[[Handle], Awaitable[None]] | None = field(default=None)
    last: str = ""
    prepare: Callable[[Database], Awaitable[None]] | None = field(default=None)

    @property
    def workflow(self) -> str:
        """The workflow that takes this input."""
        return f"{type(self.request).__name__.removesuffix('Input')}Workflow"


def cancel_in(step: str) -> Callable[[Handle], Awaitable[None]]:
    """Cancel a run once it is in a step."""

    async def meddle(handle: Handle) -> None:
        await until_step(handle, step)
        await handle.cancel()

    return meddle


def deciding(*decisions: dict[str, str]) -> Callable[[Handle], Awaitable[None]]:
    """Decide on one revision after the other, as people would."""

    async def meddle(handle: Handle) -> None:
        for revision, decision in enumerate(decisions, 1):
            await until_step(handle, f"wait for approval {revision}")
            state = await handle.query("approval", result_type=ApprovalState)
            assert state.pending is not None
            given = {"digest": state.pending.digest, "by": "Ann", **decision}
            await handle.execute_update("submit_decision", given)  # pyright: ignore[reportUnknownMemberType] - the SDK's type

    return meddle


async def signal_stray_and_good(handle: Handle) -> None:
    """Signal what does not fit, what is stale, and then the decision."""
    await handle.signal("decide", {"verdict": "approve", "digest": "early"})
    await until_step(handle, "wait for approval 1")
    state = await handle.query("approval", result_type=ApprovalState)
    assert state.pending is not None
    for given in ("approve", {"verdict": "approve"}, {"verdict": "approve", "digest": "stale"}):
        await handle.signal("decide", given)
    await handle.signal("decide", {"verdict": "approve", "digest": state.pending.digest})


async def retry_then_abandon(handle: Handle) -> None:
    """Have what is stuck tried again, in vain, and then give it up."""
    for activity_id, signal, decision in (
        ("undo-charge-payment", "retry_compensation", {"by": "Ann"}),
        ("undo-charge-payment-2", "abandon_compensation", {"by": "Ann", "reason": "By hand."}),
    ):

        async def stuck(activity_id: str = activity_id) -> bool:
            waits = bool((await status_of(handle)).waiting_for)
            return waits and activity_id in await activities_of(handle)

        await until(stuck, f"{activity_id} keeps failing")
        await handle.signal(signal, decision)


def judging(word: str) -> str:
    """What only the escalation judge's request contains, when an issue begins with the word."""
    return f'customer\\">\\n{word}'


def pooling(
    pool: str, first_id: int, *new: dict[str, Any]
) -> Callable[[Database], Awaitable[None]]:
    """Put jobs into a pool of their own; their ids are the same whenever this is recorded."""

    async def prepare(database: Database) -> None:
        number = text("SELECT setval(pg_get_serial_sequence('jobs', 'job_id'), :id, false)")
        given = [NewJob.model_validate({"kind": "noop", **values}) for values in new]
        async with database.transaction() as connection:
            await connection.execute(number, {"id": first_id})
            await pools.ensure_pool(connection, pool, max_parallelism=1)
            await jobs.enqueue(connection, pool, given)

    return prepare


def stop_jobs(*job_ids: int) -> Callable[[Handle], Awaitable[None]]:
    """Stop one job after the other while it runs."""

    async def meddle(handle: Handle) -> None:
        for job_id in job_ids:
            await until_step(handle, f"job {job_id}")
            await handle.signal("cancel_job", CancelJob(job_id=job_id))

    return meddle


class RemovedPool:
    """A pool that is taken away by hand while a job runs."""

    def __init__(self, pool: str, job_id: int) -> None:
        self._pool, self._job_id = pool, job_id
        self._database: Database | None = None

    async def prepare(self, database: Database) -> None:
        """Put the job in."""
        self._database = database
        await pooling(self._pool, self._job_id, {"payload": {"seconds": 1}})(database)

    async def remove(self, handle: Handle) -> None:
        """Take the pool away."""
        await until_step(handle, f"job {self._job_id}")
        assert self._database is not None
        async with self._database.statement() as connection:
            values = {"pool": self._pool}
            await connection.execute(text("DELETE FROM pools WHERE pool = :pool"), values)


IN_A_SECOND = {"initial_s": 1, "max_s": 1}
HANG: dict[str, Any] = {"kind": "hang", "times": -1}
CALM = '{"reason": "Settled.", "escalate": false, "priority": "low"}'
DOWN: dict[str, Any] = {
    "status": 503,
    "times": -1,
    "route": "weather",
    "retry_after": {"form": "ms", "value": 10},
}

REMOVED = RemovedPool("history-f", 1500)
GONE = OnComplete(workflow_id="nobody-has-this-id", signal="told")
POOL_SCENES = (
    Scene(
        "work_pool.idle",
        PoolLaneInput(pool="history-a", lane=0),
        prepare=pooling(
            "history-a",
            1000,
            {"about": "the first"},
            {"payload": {"is_final": True}, "on_complete": GONE},
            {"kind": "workflow:DebugWorkflow", "payload": {"values": [1]}},
        ),
    ),
    Scene(
        "work_pool.pool_removed",
        PoolLaneInput(pool="history-f", lane=0),
        prepare=REMOVED.prepare,
        meddle=REMOVED.remove,
    ),
    Scene(
        "work_pool.waited",
        PoolLaneInput(pool="history-b", lane=0),
        prepare=pooling("history-b", 1100, {"payload": {"failures": 1}, "retry": IN_A_SECOND}),
    ),
    Scene(
        "work_pool.job_cancelled",
        PoolLaneInput(pool="history-c", lane=0),
        prepare=pooling(
            "history-c",
            1200,
            {"payload": {"seconds": 60}},
            {"kind": "workflow:DebugWorkflow", "payload": {"values": [1], "pause_s": 60}},
        ),
        meddle=stop_jobs(1200, 1201),
    ),
    Scene(
        "work_pool.cancelled",
        PoolLaneInput(pool="history-d", lane=0),
        prepare=pooling("history-d", 1300, {"payload": {"seconds": 60}}),
        meddle=cancel_in("job 1300"),
    ),
    Scene(
        "work_pool.continued_as_new",
        PoolLaneInput(pool="history-e", lane=0),
        prepare=pooling("history-e", 1400, *({"payload": {"is_final": True}} for _ in range(9))),
        last="work_pool.resumed",
    ),
)

SCENES = (
    Scene(
        "react.two_tools",
        ReActInput(task="What is 12.5 % of 2480, and what is the weather in Oslo?", user_id="u-1"),
    ),
    Scene("react.approval_refused", ReActInput(task="File a ticket: my monitor is broken.")),
    Scene(
        "react.unknown_tool",
        ReActInput(task="What is 6 * 7 (a)?"),
        "(a)",
        ({"kind": "unknown_tool"},),
    ),
    Scene(
        "react.tool_fails", ReActInput(task="What is the weather in Oslo?"), "name=Oslo", (DOWN,)
    ),
    Scene("react.out_of_rounds", ReActInput(task="Please simulate 5 rounds.", max_rounds=2)),
    Scene("react.out_of_budget", ReActInput(task="Please simulate 5 rounds.", max_calls=1)),
    Scene("react.unknown_agent", ReActInput(task="Anything.", agent="nobody")),
    Scene("react.deadline", ReActInput(task="Say b.", deadline_s=1), "Say b", (HANG,)),
    Scene("react.cancelled", ReActInput(task="Say c."), "Say c", (HANG,), cancel_in("think 1")),
    Scene(
        "react.cancelled_in_tool",
        ReActInput(task="What is the weather in Rome?"),
        "name=Rome",
        ({**HANG, "route": "weather"},),
        cancel_in("get_weather 1.1"),
    ),
    Scene(
        "react.continued_as_new",
        ReActInput(task="Please simulate 4 rounds.", max_rounds=9),
        last="react.resumed",
    ),
    Scene("weather_advice.advised", WeatherAdviceInput(city="Paris", user_id="u-1")),
    Scene("weather_advice.unknown_city", WeatherAdviceInput(city="Nowherexyz")),
    Scene(
        "weather_advice.deadline",
        WeatherAdviceInput(city="Vienna", deadline_s=1),
        "weather (Vienna",
        (HANG,),
    ),
    Scene(
        "weather_advice.cancelled",
        WeatherAdviceInput(city="Vienna"),
        "weather (Vienna",
        (HANG,),
        cancel_in("advise"),
    ),
    Scene(
        "support.escalated",
        SupportInput(issue="My monitor A-1001 burns, this is urgent!", user_id="A-1001"),
    ),
    Scene(
        "support.ticket_by_agent",
        SupportInput(issue="Word f. Please file a ticket: the lamp flickers."),
        judging("Word f"),
        ({"kind": "nonsense", "text": CALM},),
    ),
    Scene("support.out_of_rounds", SupportInput(issue="What is the refund policy?", max_rounds=1)),
    Scene(
        "support.no_judgement",
        SupportInput(issue="Word g: thanks."),
        judging("Word g"),
        ({"kind": "nonsense", "times": -1},),
    ),
    Scene(
        "support.deadline",
        SupportInput(issue="Word h: thanks.", deadline_s=1),
        "Word h",
        (HANG,),
    ),
    Scene(
        "support.cancelled",
        SupportInput(issue="Word i: thanks."),
        judging("Word i"),
        (HANG,),
        cancel_in("decide"),
    ),
    Scene(
        "review.approved_after_rejection",
        ReviewInput(task_id="task-5"),
        meddle=deciding({"verdict": "reject", "feedback": "Shorter."}, {"verdict": "approve"}),
    ),
    Scene(
        "review.rejected",
        ReviewInput(task_id="task-5", max_revisions=0),
        meddle=deciding({"verdict": "reject", "feedback": "No."}),
    ),
    Scene("review.signalled", ReviewInput(task_id="task-5"), meddle=signal_stray_and_good),
    Scene("review.expired", ReviewInput(task_id="task-5", decision_deadline_s=0.5)),
    Scene("review.unknown_task", ReviewInput(task_id="no-such-task")),
    Scene("review.deadline", ReviewInput(task_id="task-5", deadline_s=1)),
    Scene(
        "review.cancelled",
        ReviewInput(task_id="task-5"),
        meddle=cancel_in("wait for approval 1"),
    ),
    Scene("resilient_task.primary", ResilientTaskInput(task_id="task-5")),
    Scene(
        "resilient_task.fallback",
        ResilientTaskInput(task_id="task-5"),
        "You process tasks with care",
        ({"status": 400},),
    ),
    Scene("resilient_task.unknown_task", ResilientTaskInput(task_id="no-such-task")),
    Scene(
        "resilient_task.both_fail",
        ResilientTaskInput(task_id="task-4"),
        "Work out what a move to Business costs",
        ({"status": 400, "times": -1},),
    ),
    Scene(
        "resilient_task.cancelled",
        ResilientTaskInput(task_id="task-4"),
        "Work out what a move to Business costs",
        (HANG,),
        cancel_in("primary"),
    ),
    Scene("route.sales", RoutingInput(message="What does the Business plan cost?", user_id="u-1")),
    Scene("route.unsure", RoutingInput(message="My monitor is broken.", threshold=1)),
    Scene("route.out_of_rounds", RoutingInput(message="What is the refund policy?", max_rounds=1)),
    Scene(
        "route.no_class",
        RoutingInput(message="Word k."),
        "Word k",
        ({"kind": "nonsense", "times": -1},),
    ),
    Scene("route.deadline", RoutingInput(message="Word l.", deadline_s=1), "Word l", (HANG,)),
    Scene(
        "route.cancelled",
        RoutingInput(message="Word m."),
        "Word m",
        (HANG,),
        cancel_in("classify"),
    ),
    Scene("analyze_document.analysed", DocumentAnalysisInput(document_id="refund-policy")),
    Scene("analyze_document.unknown", DocumentAnalysisInput(document_id="no-such-document")),
    Scene(
        "analyze_document.partial",
        DocumentAnalysisInput(document_id="shipping", allow_partial=True),
        "up to five topics",
        ({"status": 401, "times": -1, "error_code": "invalid_api_key"},),
    ),
    Scene(
        "analyze_document.deadline",
        DocumentAnalysisInput(document_id="warranty", deadline_s=1),
        "up to five topics",
        (HANG,),
    ),
    Scene(
        "analyze_document.cancelled",
        DocumentAnalysisInput(document_id="warranty"),
        "Section 1 of 1 of a document",
        (HANG,),
        cancel_in("sentiment: 1-1 of 1, topics: 1-1 of 1, summary: 1-1 of 1"),
    ),
    Scene("research.refined", ResearchInput(query="What does the warranty cover?")),
    Scene(
        "research.plan_fails",
        ResearchInput(query="What is the refund policy (n)?", max_rounds=0),
        "sub-questions.\\n\\nQuestion: What is the refund policy (n)",
        ({"kind": "nonsense", "times": 3},),
    ),
    Scene(
        "research.out_of_budget",
        ResearchInput(query="What is the refund policy (o)?", max_calls=1),
    ),
    Scene("research.deadline", ResearchInput(query="Word p?", deadline_s=1), "Word p", (HANG,)),
    Scene(
        "research.cancelled",
        ResearchInput(query="Word q?"),
        "Word q",
        (HANG,),
        cancel_in("plan"),
    ),
    Scene("tracked.completed", TrackedInput(task_id="task-1")),
    Scene("tracked.unknown_task", TrackedInput(task_id="no-such-task")),
    Scene(
        "tracked.deadline",
        TrackedInput(task_id="task-2", deadline_s=1),
        "Summarise the customer feedback",
        (HANG,),
    ),
    Scene(
        "tracked.cancelled",
        TrackedInput(task_id="task-2"),
        "Summarise the customer feedback",
        (HANG,),
        cancel_in("step1"),
    ),
    Scene(
        "external_call.fetched",
        ExternalCallInput(url=f"http://{SIMULATOR}/pages/hello.txt", user_id="u-1"),
    ),
    Scene(
        "external_call.tried_again",
        ExternalCallInput(url=f"http://{SIMULATOR}/v1/search?name=Worda", backoff=3),
        "name=Worda",
        ({**DOWN, "times": 1},),
    ),
    Scene("external_call.private_address", ExternalCallInput(url="http://10.0.0.1/")),
    Scene(
        "external_call.deadline",
        ExternalCallInput(url=f"http://{SIMULATOR}/v1/search?name=Wordb", deadline_s=1),
        "name=Wordb",
        ({**HANG, "route": "weather"},),
    ),
    Scene(
        "external_call.cancelled",
        ExternalCallInput(url=f"http://{SIMULATOR}/v1/search?name=Wordc"),
        "name=Wordc",
        ({**HANG, "route": "weather"},),
        cancel_in("fetch url"),
    ),
    Scene("process_task.completed", TaskInput(user_id="user-2", task_id="task-3")),
    Scene("process_task.of_another_user", TaskInput(user_id="user-1", task_id="task-3")),
    Scene(
        "process_task.says_nothing",
        TaskInput(user_id="user-3", task_id="task-5"),
        "Write release notes",
        ({"kind": "empty"},),
    ),
    Scene(
        "process_task.deadline",
        TaskInput(user_id="user-3", task_id="task-5", deadline_s=1),
        "Write release notes",
        (HANG,),
    ),
    Scene(
        "process_task.cancelled",
        TaskInput(user_id="user-3", task_id="task-5"),
        "Write release notes",
        (HANG,),
        cancel_in("process with model"),
    ),
    Scene("order.fulfilled", OrderInput(order_id="order-1001")),
    Scene("order.declined", OrderInput(order_id="order-1002")),
    Scene("order.fulfilment_fails", OrderInput(order_id="order-1003")),
    Scene("order.out_of_stock", OrderInput(order_id="order-1004")),
    Scene("order.deadline", OrderInput(order_id="order-1005", deadline_s=0.5)),
    Scene(
        "order.cancelled",
        OrderInput(order_id="order-1005"),
        meddle=cancel_in("charge payment"),
    ),
    Scene("order.parked", OrderInput(order_id="order-1006"), meddle=retry_then_abandon),
    Scene("debug.completed", DebugInput(values=(3, 4, 5), pause_s=0.1)),
    Scene("debug.total_too_large", DebugInput(values=(1e308, 1e308))),
    Scene("debug.deadline", DebugInput(values=(1,), pause_s=60, deadline_s=1)),
    Scene("debug.cancelled", DebugInput(values=(1,), pause_s=60), meddle=cancel_in("pause")),
    *POOL_SCENES,
)


async def play(
    client: Client, scene: Scene, simulator: Simulator, database: Database
) -> dict[str, str]:
    """Let a scene happen; the histories as JSON, by their names."""
    if scene.prepare is not None:
        await scene.prepare(database)
    given = scene.request.model_dump_json().replace(f"http://{SIMULATOR}", simulator.url)
    request = type(scene.request).model_validate_json(given)
    async with simulator.faults(scene.match, *scene.faults):
        handle: Handle = await client.start_workflow(
            scene.workflow, request, id=scene.name, task_queue=queues.WORKFLOWS
        )
        if scene.meddle is not None:
            await scene.meddle(handle)
        with suppress(WorkflowFailureError):
            await handle.result()
    found = {scene.name: handle.first_execution_run_id}
    if scene.last:
        found[scene.last] = None
    return {
        name: (await client.get_workflow_handle(scene.name, run_id=run).fetch_history()).to_json()
        for name, run in found.items()
    }


def scrubbed(history: str) -> str:
    """A history without what tells where it was recorded, in a form that git can compare."""
    return json.dumps(_without_machines(json.loads(history)), indent=1, sort_keys=True) + "\n"


def _without_machines(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_machines(item) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        kept = cast(dict[str, Any], value)
        if isinstance(kept.get("data"), str):
            kept = {**kept, "data": _without_host(kept["data"])}
        return {name: _SAID_BY_MACHINES.get(name, _without_machines(kept[name])) for name in kept}
    if isinstance(value, str):
        return _PROCESS.sub("1@worker", _HOST.sub(SIMULATOR, value))
    return value


def _without_host(data: str) -> str:
    """A payload whose addresses of the simulator are those that scenes use."""
    text = base64.b64decode(data).decode("utf-8", "surrogateescape")
    changed = _HOST.sub(SIMULATOR, text).encode("utf-8", "surrogateescape")
    return base64.b64encode(changed).decode()


async def record(folder: Path = FOLDER) -> None:
    """Record every scene."""
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running_services())
        simulator = Simulator(services.settings.simulator_url)
        stack.push_async_callback(simulator.close)
        early = await stack.enter_async_context(await early_server())
        database = Database(services.settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        client = await connect(services.settings)
        for server, is_early in ((client, False), (early.client, True)):
            async with running_workers(server, services.settings):
                for scene in SCENES:
                    if bool(scene.last) == is_early:
                        write(folder, await play(server, scene, simulator, database))


def write(folder: Path, histories: dict[str, str]) -> None:
    """Write the histories that differ from those there are."""
    for name, history in histories.items():
        content, file = scrubbed(history), folder / f"{name}.json"
        if file.exists() and asked_for(file.read_text(encoding="utf-8")) == asked_for(content):
            print(f"{name}: as before")
            continue
        file.write_text(content, encoding="utf-8")
        print(f"{name}: {len(content):,} bytes")


def asked_for(history: str) -> list[tuple[str, str, str]]:
    """What a workflow asked for, in order: activities by name and id, timers, markers, the end."""
    asked: list[tuple[str, str, str]] = []
    for event in json.loads(history)["events"]:
        key = next((name for name in event if name.endswith("EventAttributes")), "")
        values = event.get(key, {})
        if "workflowTaskCompletedEventId" in values:
            kind = values.get("activityType", {}).get("name", "") or values.get("markerName", "")
            asked.append((event["eventType"], kind, str(values.get("activityId", ""))))
    return asked


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    for variable in [name for name in os.environ if name.startswith(("TEMPORAL_", "OPENAI_"))]:
        del os.environ[variable]
    asyncio.run(record())
