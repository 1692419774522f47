"""Real servers for the session: Temporal, PostgreSQL with the sample data, the simulator."""

import os
import signal
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from durable_agents.db import migrate
from durable_agents.db.engine import Database
from durable_agents.db.seed import seed
from durable_agents.runtime.connection import connect, plugin
from durable_agents.runtime.embedded.postgres_home import remove_home
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.embedded.temporal_server import temporal_program
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import SIMULATOR_MODEL
from durable_agents.telemetry.redaction import SECRETS
from tests.forking import FORKS
from tests.steering import Simulator
from workers.process import build_workers
from workers.resources import Resources
from workers.roles import ROLES

EXAMPLES = Path(__file__).parent.parent / "examples"
FOREIGN = ("TEMPORAL_", "OPENAI_", "PG")
ATTRIBUTES = ("Pattern", "UserId", "Phase")
QUICK = (
    'history.timerProcessorMaxTimeShift="10ms"',  # else each timer comes a second late
    "history.transferProcessorMaxPollRPS=10000",
    "history.timerProcessorMaxPollRPS=10000",
)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(scope="session", autouse=True)
def _no_foreign_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - autouse
    """Nothing that is set outside decides what a test does."""
    ours = {name.upper() for name in Settings.model_fields}
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in ours or name.startswith(FOREIGN) or name.upper() in PROXIES:
                patch.delenv(name)
        # A profile of the person who runs the tests would lead to their server.
        patch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path_factory.getbasetemp() / "temporal.toml"))
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so are jobs in the background
            signal.signal(signal.SIGINT, signal.default_int_handler)  # else commands ignore Ctrl-C
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_forks_left() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - autouse
    """What commands are forked from ends with the tests."""
    yield
    FORKS.end()


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - autouse
    """Settings that a test reads make no secrets for the next."""
    yield
    SECRETS.forget()


@asynccontextmanager
async def running_services(**values: Any) -> AsyncGenerator[EmbeddedServices]:
    """All parts on free ports in a folder of their own, migrated and seeded."""
    with tempfile.TemporaryDirectory(prefix="da-test-") as folder:
        given: dict[str, Any] = {
            "state_dir": Path(folder),
            "temporal_port": 0,
            "temporal_ui_port": 0,
            "simulator_port": 0,
            "sqlite_synchronous": "NORMAL",
            "worker_shutdown_grace_s": 1,
            "model_prices": f"{SIMULATOR_MODEL}=1/10",
        }
        try:
            async with EmbeddedServices(Settings.model_validate({**given, **values})) as running:
                url = running.settings.database_url.get_secret_value()
                await migrate.upgrade(url)
                database = Database(url)
                try:
                    await seed(database, EXAMPLES)
                finally:
                    await database.close()
                yield running
        finally:
            remove_home(Path(folder))


@asynccontextmanager
async def running_workers(client: Client, settings: Settings) -> AsyncGenerator[Resources]:
    """Workers of all roles in this process, with the workflow sandbox on."""
    resources = Resources.open(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(resources.close)
        for worker in build_workers(client, settings, resources, ROLES):
            await stack.enter_async_context(worker)
        yield resources


def server_options(*dynamic_config: str) -> dict[str, Any]:
    """How the SDK starts a server in memory, with what makes a client ours."""
    return {
        "plugins": [plugin()],
        "dev_server_existing_path": str(temporal_program()),
        "dev_server_extra_args": [
            *(f"--dynamic-config-value={value}" for value in (*QUICK, *dynamic_config)),
            *(f"--search-attribute={name}=Keyword" for name in ATTRIBUTES),
        ],
    }


async def early_server() -> WorkflowEnvironment:
    """A server that suggests to continue as new after about three rounds of an agent."""
    options = server_options("limit.historyCount.suggestContinueAsNew=40")
    return await WorkflowEnvironment.start_local(**options)  # pyright: ignore[reportUnknownMemberType]


@pytest.fixture(scope="session")
async def services(_no_foreign_environment: None) -> AsyncIterator[EmbeddedServices]:
    async with running_services() as running:
        yield running


@pytest.fixture(scope="session")
def settings(services: EmbeddedServices) -> Settings:
    return services.settings


@pytest.fixture(scope="session")
def database_url(settings: Settings) -> str:
    return settings.database_url.get_secret_value()


@pytest.fixture(scope="session")
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
async def client(settings: Settings) -> Client:
    return await connect(settings)


@pytest.fixture(scope="session")
async def simulator(settings: Settings) -> AsyncIterator[Simulator]:
    steered = Simulator(settings.simulator_url)
    yield steered
    await steered.close()


@pytest.fixture(scope="session")
async def worker(client: Client, settings: Settings) -> AsyncIterator[Resources]:
    async with running_workers(client, settings) as resources:
        yield resources


@pytest.fixture(scope="session")
async def time_skipping(_no_foreign_environment: None) -> AsyncIterator[WorkflowEnvironment]:
    """A server on which a run's clock jumps to its next timer, unless an activity is at work."""
    options = server_options("frontend.WorkflowTimeSkippingEnabled=true")
    async with await WorkflowEnvironment.start_time_skipping_v2(**options) as environment:
        yield environment
