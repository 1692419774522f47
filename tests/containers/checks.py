"""What the containers promise, from outside: they come up, work, and lose and double nothing."""

import asyncio
import json
import socket
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from durable_agents.db.engine import Database
from durable_agents.models.debug import DebugInput, DebugResult
from durable_agents.models.order import OrderInput, OrderResult
from durable_agents.models.react import ReActInput, ReActResult
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from tests.commanding import PROJECT, Commands, folder_for_commands
from tests.containers.stack import SERVICES, WORKERS, Stack, docker, page, report, running_stack
from tests.runtime import s3_service
from tests.workflows import orders, reviewing, runs

MOST_BYTES = 200_000_000
AT_ONCE = 12
LONGEST_S = 300
PAUSE_S = 120  # of a run that outlives the workers that began it
KEY_OF_S3 = ("-e", "AWS_ACCESS_KEY_ID=any", "-e", "AWS_SECRET_ACCESS_KEY=any")
VOLUMES = ("temporal-data", "postgres-data")
S3_SERVICE = Path(s3_service.__file__).read_text(encoding="utf-8")
USES_S3 = """
async def main():
    from durable_agents.runtime.s3_client import LazyS3Client
    async with s3_service() as service:
        client = LazyS3Client(service.url)
        await client.put_object(bucket="kept", key="a", data=b"x" * 300_000)
        data = await client.get_object(bucket="kept", key="a")
    print(len(data))
asyncio.run(main())
"""


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack() as running:
        yield running


@pytest.fixture(scope="session")
async def there(stack: Stack) -> Client:
    return await connect(Settings(temporal_address=stack.temporal))


@asynccontextmanager
async def database_of(stack: Stack) -> AsyncGenerator[Database]:
    """The database, by new connections: the server may have been restarted."""
    opened = Database(stack.database_url)
    try:
        yield opened
    finally:
        await opened.close()


class Work:
    """Runs with effects, which are counted in the end: orders, and tickets that an agent files."""

    def __init__(self, client: Client, stack: Stack) -> None:
        self._client = client
        self._stack = stack
        self._started: dict[str, list[WorkflowHandle[Any, Any]]] = {}

    async def start(self) -> None:
        """Start an order and an agent."""
        async with database_of(self._stack) as database:
            word = await orders.new_order(database)
        task = f"Please file a ticket: my monitor {word} is broken."
        agent, order = ReActInput(task=task, agent="support"), OrderInput(order_id=word)
        self._started[word] = [
            await runs.start(self._client, "ReActWorkflow", agent, result_type=ReActResult),
            await runs.start(self._client, "OrderWorkflow", order, result_type=OrderResult),
        ]

    async def go_on(self, over: asyncio.Event) -> None:
        """Start more until it is over."""
        while not over.is_set():
            await self.start()
            await asyncio.sleep(0.2)

    async def tally(self) -> str:
        """Wait for all; each must have had its effects once. Tells how many there were."""
        for handle in [handle for two in self._started.values() for handle in two]:
            await _result(handle)
        async with database_of(self._stack) as database:
            for word in self._started:
                facts = await orders.facts(database, word)
                left = orders.STOCK - orders.QUANTITY
                assert (facts.status, facts.charged, facts.stock) == ("fulfilled", 1, left), word
                assert await _tickets(database, word) == 1, word
        return f"{2 * len(self._started)} runs, nothing lost, nothing doubled"


async def _tickets(database: Database, word: str) -> int:
    query = text("SELECT count(*) FROM tickets WHERE strpos(description, :word) > 0")
    async with database.statement() as connection:
        return int(await connection.scalar(query, {"word": word}) or 0)


async def _result(handle: WorkflowHandle[Any, Any]) -> Any:
    async with asyncio.timeout(LONGEST_S):
        while True:
            try:
                return await handle.result()
            except RPCError:  # the server was killed
                await asyncio.sleep(0.5)


@pytest.fixture
def work(there: Client, stack: Stack) -> Work:
    return Work(there, stack)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not await condition():  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.5)
    report(what)


async def test_they_come_up_healthy_and_small(stack: Stack) -> None:
    image = SERVICES["worker"]["build"]["args"]["PYTHON_IMAGE"].partition(":-")[2].strip("}")

    sizes = [
        int((await docker("image", "inspect", "--format", "{{.Size}}", name)).text)
        for name in ("durable-agents-tried", image)
    ]

    ours = sizes[0] - sizes[1]
    report(f"healthy after {stack.seconds_to_healthy:.0f} s; {ours / 1e6:.1f} MB over {image}")
    assert ours < MOST_BYTES


async def test_every_page_answers_from_outside(stack: Stack) -> None:
    for port in stack.worker_ports:
        assert (await page(port, "/healthz")).json()["ready"] is True
        assert "temporal_worker_task_slots_available" in (await page(port, "/metrics")).text
    assert (await page(stack.ports["INBOX_PORT"], "/healthz")).status_code == 200
    assert "<html" in (await page(stack.ports["INBOX_PORT"], "/sign-in")).text
    assert (await page(stack.ports["TEMPORAL_UI_PORT"], "/")).status_code == 200


async def test_commands_work_from_outside_and_within(stack: Stack) -> None:
    with folder_for_commands() as folder:
        outside = Commands(None, Path(folder), TEMPORAL_ADDRESS=stack.temporal)
        ended = await outside("react", "What is 12.5 % of 2480?", "--json")
    within = await stack.compose("exec", "-T", "worker", "durable-agents", "doctor")

    assert ended.code == 0, ended.err
    assert "310" in ended.json["answer"]
    assert within.code == 0, within.text


async def test_the_image_has_no_rights_to_lose_and_can_do_what_is_optional(stack: Stack) -> None:
    optional = "import stripe, alembic, apprise; print(apprise.Apprise().add('json://localhost'))"
    once = ("run", "--rm", "-T", "--no-deps", *KEY_OF_S3, "worker")

    s3 = await stack.must(*once, "python", "-", stdin=S3_SERVICE + USES_S3)
    others = await stack.must(*once, "python", "-c", optional)
    written = await stack.compose(*once, "sh", "-c", "id -u; touch /app/x")

    assert s3.lines[-1] == "300000"
    assert others.lines[-1] == "True"
    assert "10001" in written.text
    assert "Read-only file system" in written.text


async def test_a_worker_that_is_killed_loses_and_doubles_nothing(stack: Stack, work: Work) -> None:
    for _ in range(AT_ONCE):
        await work.start()
    victim = (await stack.containers("worker"))[0]

    await docker("kill", victim)
    for _ in range(AT_ONCE):
        await work.start()
    await stack.up()

    report(f"a worker container was killed: {await work.tally()}")
    assert len(await stack.containers("worker")) == WORKERS


async def test_a_temporal_server_that_is_killed_loses_and_doubles_nothing(
    stack: Stack, work: Work
) -> None:
    for _ in range(AT_ONCE):
        await work.start()

    await stack.must("kill", "temporal")
    await stack.up()

    report(f"the Temporal container was killed: {await work.tally()}")


async def test_a_restart_of_the_workers_under_load_loses_and_doubles_nothing(
    stack: Stack, work: Work
) -> None:
    over = asyncio.Event()
    starting = asyncio.ensure_future(work.go_on(over))
    await asyncio.sleep(0)

    await stack.must("restart", "worker")
    await stack.up()
    over.set()
    await starting

    report(f"`docker compose restart worker` under load: {await work.tally()}")


async def test_after_a_reboot_services_wait_for_what_comes_up_later(
    stack: Stack, work: Work
) -> None:
    await stack.must("stop", "temporal", "postgres")
    await stack.must("restart", "worker", "inbox")
    database, temporal = "Waiting: The database does not answer", "Waiting: The Temporal server"

    await until(lambda: _all_wait(stack, database), "every worker waits for PostgreSQL")
    await until(lambda: _says(stack, "inbox", database), "so does the page")
    await stack.must("start", "postgres")
    await until(lambda: _all_wait(stack, temporal), "every worker waits for Temporal")
    await stack.must("start", "temporal")
    await stack.up()
    await work.start()

    report(f"after a reboot: {await work.tally()}")
    for one in await stack.containers("worker"):
        restarts = await docker("inspect", "--format", "{{.RestartCount}}", one)
        assert restarts.text.strip() == "0"


async def _all_wait(stack: Stack, sentence: str) -> bool:
    """Whether every worker says on the page of its health that it waits for something."""
    try:
        answers = [await page(port, "/healthz") for port in stack.worker_ports]
    except httpx2.HTTPError:  # it starts
        return False
    told = [one.json().get("reason", "") for one in answers if one.status_code == 503]
    return len(told) == WORKERS and all(reason.startswith(sentence) for reason in told)


async def _says(stack: Stack, service: str, sentence: str) -> bool:
    return sentence in await stack.log(service)


async def test_a_back_up_of_both_databases_is_restored_and_runs_go_on(
    stack: Stack, there: Client, work: Work
) -> None:
    async with database_of(stack) as rows:
        review = await reviewing.start(there, await reviewing.new_task(rows))
        await until(lambda: _asks(rows, review), "a review waits for a person")
    for _ in range(AT_ONCE):
        await work.start()

    await stack.must("stop")
    for volume in VOLUMES:
        await stack.tar(volume, "-cf", f"/backup/{volume}.tar", ".")
    sizes = [f"{name} {file.stat().st_size / 1e6:.0f} MB" for name, file in stack.backups()]
    await stack.must("down", "--volumes")
    await stack.must("create")
    for volume in VOLUMES:
        await stack.tar(volume, "-xf", f"/backup/{volume}.tar")
    await stack.up()
    async with database_of(stack) as rows:
        (asked,) = await reviewing.rows_of(rows, review)
    approved = ("durable-agents", "decide", str(asked.request_id), "--approve", "--by", "maria")
    decided = await stack.compose("exec", "-T", "worker", *approved)
    result = await _result(review)

    assert decided.code == 0, decided.text
    assert result.status == "approved"
    report(f"backed up ({', '.join(sizes)}), removed and restored: {await work.tally()}")


async def _asks(database: Database, handle: WorkflowHandle[Any, Any]) -> bool:
    return bool(await reviewing.rows_of(database, handle))


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("LOG_LEVEL=loud", "LOG_LEVEL is not usable: "),
        ("TEMPORAL_NAMESPACE=nowhere", "has no namespace nowhere"),
        ("PAYLOAD_KEYS=short:key", "PAYLOAD_KEYS is not usable: "),
    ],
)
async def test_what_waiting_cannot_mend_stops_a_container_with_one_line(
    stack: Stack, variable: str, said: str
) -> None:
    ended = await stack.compose("run", "--rm", "-T", "--no-deps", "-e", variable, "worker")

    assert ended.code == 2
    assert said in ended.lines[-1]
    assert len([line for line in ended.lines if "Container" not in line]) == 1


@pytest.mark.parametrize(
    ("revision", "code", "said"),
    [
        ("9999", 2, "at revision 9999, which this release does not know"),
        ("0001", 75, "at revision 0001, this release needs revision "),
    ],
)
async def test_a_database_of_another_release_stops_a_container_with_one_line(
    stack: Stack, revision: str, code: int, said: str
) -> None:
    once = ("run", "--rm", "-T", "--no-deps", "-e", "STARTUP_WAIT_S=1", "worker")
    change = text("UPDATE alembic_version SET version_num = :number")
    async with database_of(stack) as rows:
        async with rows.statement() as connection:
            known = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            await connection.execute(change, {"number": revision})
        ended = await stack.compose(*once)
        async with rows.statement() as connection:
            await connection.execute(change, {"number": known})

    assert ended.code == code
    assert said in ended.lines[-1]


async def test_a_port_that_is_taken_is_named(stack: Stack) -> None:
    service = ("--profile", "observability", "up", "--detach", "--no-deps", "prometheus")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = await stack.compose(*service, env_file=stack.env_with(PROMETHEUS_PORT=port))
    await stack.must("--profile", "observability", "rm", "--force", "--stop", "prometheus")

    assert ended.code != 0
    assert f":{port}" in ended.text


async def test_no_container_has_the_machine_to_itself(stack: Stack) -> None:
    asked = "{{.HostConfig.Memory}} {{.HostConfig.LogConfig.Config}} {{.Config.StopTimeout}}"

    for service in ("temporal", "postgres", "simulator", "worker", "inbox"):
        for one in await stack.containers(service):
            told = (await docker("inspect", "--format", asked, one)).text.strip()
            memory, _, rest = told.partition(" ")
            assert int(memory) >= 512 * 1024**2, service
            assert rest.startswith("map[max-file:3 max-size:10m] "), service
            assert service != "worker" or rest.endswith(" 30")


async def test_secrets_are_in_no_layer_and_no_log(stack: Stack) -> None:
    layers = await docker("image", "history", "--no-trunc", "durable-agents-tried")
    within = await docker("image", "inspect", "durable-agents-tried")
    logs = await stack.must("logs", "--no-color")
    shown = await stack.must("config", "--no-interpolate")

    for told in (layers, within, logs, shown):
        assert told.text
        assert stack.password not in told.text
        assert stack.signing_key not in told.text


@pytest.mark.parametrize("left_out", ["SIGNING_KEY", "POSTGRES_PASSWORD"])
async def test_a_variable_that_is_missing_is_named_before_anything_starts(
    stack: Stack, left_out: str
) -> None:
    given = {"SIGNING_KEY": "k" * 32, "POSTGRES_PASSWORD": "p"}
    with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
        file.writelines(f"{name}={value}\n" for name, value in given.items() if name != left_out)
        file.flush()

        ended = await stack.compose("config", "--quiet", env_file=Path(file.name))

    assert ended.code != 0
    assert left_out in ended.lines[-1]
    assert "is not set" in ended.lines[-1]


async def test_all_profiles_together_are_a_valid_configuration(stack: Stack) -> None:
    said = await stack.must("--profile", "*", "config", "--services")

    assert set(said.lines) == set(SERVICES)
    assert (PROJECT / "deploy/observability/alerts.yml").exists()


async def test_prometheus_asks_every_worker(stack: Stack) -> None:
    service = ("up", "--detach", "--wait", "--no-deps", "prometheus")
    await stack.must("--profile", "observability", *service)
    port = stack.ports["PROMETHEUS_PORT"]

    async def all_are_up() -> bool:
        try:
            answer = await page(port, "/api/v1/query?query=up%7Bjob%3D%22durable-agents%22%7D")
            found = json.loads(answer.text)["data"]["result"]
        except (httpx2.HTTPError, ValueError, KeyError):  # it starts
            return False
        return [one["value"][1] for one in found] == ["1"] * WORKERS

    await until(all_are_up, f"Prometheus asks {WORKERS} workers")


async def test_a_worker_of_an_old_version_ends_its_runs_beside_the_new_one(
    stack: Stack, there: Client
) -> None:
    old, new = (stack.env_with(WORKER_BUILD_ID=name) for name in ("v1", "v2"))
    kept, asked = f"{stack.project}-v1", ("exec", "-T", "worker", "durable-agents", "versions")
    await stack.must("up", "--detach", "--wait", env_file=old)
    given = DebugInput(values=(1, 2), pause_s=PAUSE_S)
    pinned = await runs.start(there, "DebugWorkflow", given, result_type=DebugResult)
    once = ("run", "--detach", "--no-deps", "--name", kept, "-e", "WORKER_BUILD_ID=v1", "worker")
    await stack.must(*once, env_file=old)

    try:
        updated = await docker("update", "--restart", "unless-stopped", kept)
        await stack.must("up", "--detach", "--wait", env_file=new)
        before = await stack.compose(*asked, "drained", "v1", env_file=new)
        result = await _result(pinned)
        after = await stack.must(*asked, "drained", "v1", "--wait", env_file=new)
    finally:
        stopped = await docker("stop", kept)
        await docker("rm", "--force", kept)
        await stack.up()

    assert (updated.code, stopped.code, before.code) == (0, 0, 4), before.text
    assert result.total == 3
    assert "can be stopped" in after.text
    report("a run that is pinned ended on its old version, beside the new one")
