"""What is encrypted in a run and what is not, and what happens when a key is gone."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import QueryWorkflowRequest
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowHistory,
)
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Replayer

from durable_agents.models.errors import PayloadKeyError
from durable_agents.runtime.connection import connect, plugin, replay_converter
from durable_agents.runtime.converter import DATA_CONVERTER
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.settings import Settings
from tests.runtime.payload_flows import Parcel, ParcelWorkflow, carriers, send, send_off
from tests.runtime.waiting import until_activity, until_task_fails
from tests.workflows.runs import token

OLD, NEW = made_key("old"), made_key("new")
SECRET = "rosebud"
USER = SearchAttributeKey.for_keyword("UserId")


class Labelling(Interceptor):
    """Puts a header on every run that is started."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002
        return _Labels(next)


class _Labels(OutboundInterceptor):
    async def start_workflow(
        self,
        input: StartWorkflowInput,  # noqa: A002 - the SDK names it
    ) -> WorkflowHandle[Any, Any]:
        (label,) = DATA_CONVERTER.payload_converter.to_payloads([SECRET])
        input.headers = {**input.headers, "label": label}
        return await super().start_workflow(input)


@pytest.fixture
def queue() -> str:
    return f"sealed-{token()}"


def with_keys(settings: Settings, *keys: str) -> Settings:
    return settings.model_copy(update={"payload_keys": SecretStr(",".join(keys))})


@pytest.fixture
async def sealing(settings: Settings) -> Client:
    return await connect(with_keys(settings, NEW))


def everything_in(history: str) -> str:
    """A history with its payloads as text: what somebody reads who may read the server."""
    return history + "\n".join(_decoded(json.loads(history)))


def _decoded(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in cast(dict[str, Any], value).values():
            yield from _decoded(item)
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            yield from _decoded(item)
    elif isinstance(value, str) and re.fullmatch(r"([A-Za-z0-9+/=]{4})+", value):
        yield base64.b64decode(value).decode("latin-1")


async def test_inputs_results_messages_memos_and_summaries_are_encrypted(
    sealing: Client, queue: str
) -> None:
    async with carriers(sealing, queue):
        handle = await send_off(
            sealing,
            queue,
            Parcel(content=SECRET, waits=True),
            memo={"note": f"a note on {SECRET}"},
            static_summary=f"the summary of {SECRET}",
            static_details=f"the details of {SECRET}",
        )
        answered = await send(handle, Parcel(content=SECRET + "2"))
        result = await handle.result()
    described = await handle.describe()

    seen = everything_in((await handle.fetch_history()).to_json())
    assert (answered.content, result.content) == (SECRET + "2", SECRET + "2")
    assert await described.memo() == {"note": f"a note on {SECRET}"}
    assert await described.static_summary() == f"the summary of {SECRET}"
    assert SECRET not in seen
    assert SECRET not in str(described.raw_description)
    assert "binary/encrypted" in seen


async def test_what_queries_answer_is_encrypted_for_the_server(sealing: Client, queue: str) -> None:
    async with carriers(sealing, queue):
        handle = await send_off(sealing, queue, Parcel(content=SECRET, waits=True))
        asked = [
            await sealing.workflow_service.query_workflow(
                QueryWorkflowRequest(
                    namespace=sealing.namespace,
                    execution=WorkflowExecution(workflow_id=queue),
                    query=WorkflowQuery(query_type=name),
                ),
                retry=True,
            )
            for name in ("parcel", "__temporal_workflow_metadata")
        ]
    await handle.terminate()

    for answer in asked:
        (payload,) = answer.query_result.payloads
        assert payload.metadata["encoding"] == b"binary/encrypted"


async def test_headers_are_encrypted(settings: Settings, queue: str) -> None:
    settings = with_keys(settings, NEW)
    plain = await connect(settings)
    config = plain.config()
    config["interceptors"] = [Labelling()]
    labelling = Client(**config)

    handle = await send_off(labelling, queue, Parcel(waits=True))
    await handle.terminate()

    async for event in handle.fetch_history_events():
        header = event.workflow_execution_started_event_attributes.header
        assert header.fields["label"].metadata["encoding"] == b"binary/encrypted"
        break


async def test_ids_types_search_attributes_and_kinds_of_errors_are_not_encrypted(
    sealing: Client, queue: str
) -> None:
    attributes = TypedSearchAttributes([SearchAttributePair(USER, f"user-{queue}")])
    async with carriers(sealing, queue):
        handle = await send_off(
            sealing, queue, Parcel(content=SECRET, fails=True), search_attributes=attributes
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    seen = everything_in((await handle.fetch_history()).to_json())
    for plain in (queue, "ParcelWorkflow", '"carry"', f"user-{queue}", '"InputError"'):
        assert plain in seen


async def test_messages_and_traces_of_failures_are_encrypted(sealing: Client, queue: str) -> None:
    async with carriers(sealing, queue):
        handle = await send_off(sealing, queue, Parcel(content=SECRET, fails=True))
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()

    activity = failed.value.cause
    seen = everything_in((await handle.fetch_history()).to_json())
    assert isinstance(activity, ActivityError)
    assert isinstance(activity.cause, ApplicationError)
    assert (activity.cause.message, activity.cause.type) == (f"cannot carry {SECRET}", "InputError")
    assert SECRET not in seen
    assert "Encoded failure" in seen
    assert "payload_flows.py" not in seen


async def test_runs_from_before_a_rotation_and_from_before_keys_go_on(
    settings: Settings, client: Client, queue: str
) -> None:
    before = await connect(with_keys(settings, OLD))
    plain = await send_off(client, f"{queue}-plain", Parcel(content="plain"))
    sealed = await send_off(before, f"{queue}-sealed", Parcel(content="sealed"))
    rotated = await connect(with_keys(settings, NEW, OLD))

    async with carriers(rotated, f"{queue}-plain"), carriers(rotated, f"{queue}-sealed"):
        results = [
            (await rotated.get_workflow_handle(handle.id, result_type=Parcel).result()).content
            for handle in (plain, sealed)
        ]

    assert results == ["plain", "sealed"]


@pytest.mark.parametrize("keys", [(), (OLD,)], ids=["no keys", "another key"])
async def test_a_run_whose_key_is_gone_waits_for_it_and_goes_on_when_it_is_back(
    sealing: Client, settings: Settings, queue: str, keys: tuple[str, ...]
) -> None:
    handle = await send_off(sealing, queue, Parcel(content=SECRET))
    unable = await connect(with_keys(settings, *keys))

    async with carriers(unable, queue):
        why = await until_task_fails(handle)
    status = (await handle.describe()).status
    async with carriers(sealing, queue):
        result = await handle.result()

    assert "encrypted with the key 'new', which is not in PAYLOAD_KEYS" in why
    assert status == WorkflowExecutionStatus.RUNNING
    assert result.content == SECRET


async def test_an_activity_whose_key_is_gone_says_so_and_comes_back_later(
    sealing: Client, client: Client, queue: str
) -> None:
    handle = await send_off(sealing, queue, Parcel(content=SECRET, apart=True))

    async with carriers(sealing, queue, only="workflows"):
        async with carriers(client, queue, only="activities"):
            pending = await until_activity(handle, failed=True)
        status = (await handle.describe()).status
    await handle.terminate()

    again = pending.next_attempt_schedule_time.seconds
    assert pending.last_failure.application_failure_info.type == PayloadKeyError.__name__
    assert "Give this process the PAYLOAD_KEYS" in pending.last_failure.message
    assert again - pending.last_attempt_complete_time.seconds >= 59
    assert status == WorkflowExecutionStatus.RUNNING


async def test_a_client_without_the_key_is_told_so(
    sealing: Client, client: Client, queue: str
) -> None:
    async with carriers(sealing, queue):
        await (await send_off(sealing, queue, Parcel(content=SECRET))).result()

        with pytest.raises(PayloadKeyError, match="'new', which is not in PAYLOAD_KEYS"):
            await client.get_workflow_handle(queue, result_type=Parcel).result()
        with pytest.raises(PayloadKeyError, match="'new', which is not in PAYLOAD_KEYS"):
            await client.get_workflow_handle(queue).query("parcel", result_type=Parcel)


async def test_an_encrypted_history_replays_with_its_keys_alone(
    sealing: Client, settings: Settings, queue: str
) -> None:
    async with carriers(sealing, queue):
        handle = await send_off(sealing, queue, Parcel(content=SECRET))
        await handle.result()
    history = (await handle.fetch_history()).to_json()
    read = WorkflowHistory.from_json(queue, history)

    able = plugin(replay_converter(with_keys(settings, NEW), history))
    await Replayer(workflows=[ParcelWorkflow], plugins=[able]).replay_workflow(read)

    with pytest.raises(RuntimeError, match="not in PAYLOAD_KEYS"):
        await Replayer(workflows=[ParcelWorkflow], plugins=[plugin()]).replay_workflow(read)
