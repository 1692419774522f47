"""Start the parts that are not configured, say where they listen, stop them in order.

    async with EmbeddedServices(Settings.load(use_run_file=False)) as services:
        await services.add_child([sys.executable, "-m", "workers"], "worker")
        failure = await services.wait_for_failure()

Only `durable-agents up` and `demo` (and the tests) do this.
"""

import asyncio
import os
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.child import Child, ChildFailure, ChildSpec
from durable_agents.runtime.embedded.children import Children
from durable_agents.runtime.embedded.needs import needs_postgres, needs_simulator, needs_temporal
from durable_agents.runtime.embedded.parts import Stage
from durable_agents.runtime.embedded.postgres import start_postgres
from durable_agents.runtime.embedded.postgres_home import PostgresHome, prepare_home
from durable_agents.runtime.embedded.postgres_install import find_install, reachable_install
from durable_agents.runtime.embedded.run_file import remove_run_file, write_run_file
from durable_agents.runtime.embedded.run_lock import RunLock
from durable_agents.runtime.embedded.signing_key import kept_signing_key
from durable_agents.runtime.embedded.simulator_server import start_simulator
from durable_agents.runtime.embedded.temporal_server import start_temporal
from durable_agents.runtime.embedded.watch import Watch
from durable_agents.runtime.embedded.whole_threads import in_thread
from durable_agents.runtime.settings import Settings
from durable_agents.runtime.simulated import simulator_values

_WORKER_MARGIN_S = 5.0  # beyond the time that a worker gives its own activities to end


class EmbeddedServices:
    """Temporal, PostgreSQL and the simulator, as far as they are not configured.

    Entering starts them at the same time and writes `run.json` once all are ready; leaving
    stops them in order and removes it. If this process is killed, the watcher does the same.

    Args:
        settings: What is configured. They must not come from an earlier `run.json`:
            `Settings.load(use_run_file=False)`.

    Raises:
        ConfigurationError: On entering: another `up` runs on the same state folder, a port is
            taken, a program is missing, or a part does not start.
    """

    def __init__(self, settings: Settings) -> None:
        self._given = settings.model_copy(update={"state_dir": settings.state_dir.resolve()})
        self._settings = self._given
        self._stack = AsyncExitStack()
        self._children: Children | None = None
        self._watch: Watch | None = None
        self._values: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def settings(self) -> Settings:
        """The given settings, completed with where the started parts listen."""
        return self._settings

    def announce(self, **values: str) -> None:
        """Add to `run.json` where something else listens that was started beside the parts."""
        self._values = {**self._values, **values}
        write_run_file(self._given.run_file, self._values)
        self._settings = self._settings.model_copy(update=values)

    def pid_of(self, name: str) -> int:
        """The process id of a part or an added child that runs."""
        return self._running().pid_of(name)

    async def add_child(
        self,
        argv: Sequence[str],
        name: str,
        *,
        env: Mapping[str, str] | None = None,
        grace_s: float | None = None,
    ) -> Child:
        """Start one more process under the same watcher; it ends before the parts do.

        Args:
            argv: The program and its arguments.
            name: What people call it; its log is `log/NAME.log` in the state folder.
            env: Variables beside those of this process. STATE_DIR is set for it, so that it
                finds `run.json`.
            grace_s: How long it may take to end when asked.

        Raises:
            ConfigurationError: It cannot be started.
        """
        state = {"STATE_DIR": str(self._given.state_dir)}
        patience = self._given.worker_shutdown_grace_s + _WORKER_MARGIN_S
        spec = ChildSpec(
            name=name,
            argv=argv,
            stage=Stage.WORKERS,
            env={**os.environ, **state, **(env or {})},
            grace_s=patience if grace_s is None else grace_s,
        )
        return await self._running().start(spec)

    async def wait_for_failure(self) -> ChildFailure:
        """Wait until a part or an added child ends although nobody asked it to."""
        return await self._running().next_failure()

    async def _start(self) -> None:
        state_dir = self._given.state_dir
        log_folder = state_dir / "log"
        _make_folders(state_dir, log_folder)
        lock = await RunLock.acquire(state_dir)
        self._stack.callback(lock.release)
        watch = await Watch.start(lock=lock.descriptor, log=log_folder / "watcher.log")
        self._stack.push_async_callback(watch.close)
        watch.litter(self._given.run_file)
        self._watch = watch
        self._children = Children(watch, lock, log_folder)
        self._stack.push_async_callback(self._children.stop)
        values = await self._start_parts(self._children)
        if not self._given.signing_key.get_secret_value():
            values["signing_key"] = await in_thread(kept_signing_key, state_dir)
        self._stack.callback(remove_run_file, self._given.run_file)
        write_run_file(self._given.run_file, values)
        self._values = values
        self._settings = _completed(self._given, values)

    async def _start_parts(self, children: Children) -> dict[str, Any]:
        """Start what is needed, all at once; gives the settings that follow from it."""
        starts: list[Coroutine[Any, Any, dict[str, Any]]] = []
        if needs_temporal(self._given):
            starts.append(self._start_temporal(children))
        if needs_postgres(self._given):
            starts.append(self._start_postgres(children))
        if needs_simulator(self._given):
            starts.append(self._start_simulator(children))
        tasks = [asyncio.create_task(start) for start in starts]
        try:
            results = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return {name: value for values in results for name, value in values.items()}

    async def _start_temporal(self, children: Children) -> dict[str, Any]:
        address, ui_url = await start_temporal(self._given, children)
        return {"temporal_address": address, "temporal_ui_url": ui_url}

    async def _start_postgres(self, children: Children) -> dict[str, Any]:
        home = await in_thread(prepare_home, self._given.state_dir)
        if home.socket_is_litter and self._watch is not None:
            self._watch.litter(home.socket)
        install = await in_thread(_install_for, home)
        return {"database_url": await start_postgres(home, install, children)}

    async def _start_simulator(self, children: Children) -> dict[str, Any]:
        return simulator_values(await start_simulator(self._given, children))

    def _running(self) -> Children:
        if self._children is None:
            raise RuntimeError("EmbeddedServices is used before it is entered")
        return self._children


def _make_folders(*folders: Path) -> None:
    try:
        for folder in folders:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {folders[0]} cannot be made ({error.strerror}): "
            "set STATE_DIR to another one."
        ) from error


def _install_for(home: PostgresHome) -> Path:
    install = find_install(home.data)
    if home.account is None:
        return install
    return reachable_install(install, home.account, home.copies)


def _completed(given: Settings, values: Mapping[str, Any]) -> Settings:
    """Fill in what was started; what was set stays, unless SIMULATOR=on speaks against it."""
    kept = {name for name in given.model_fields_set if getattr(given, name)}
    if given.simulator == "on":
        kept = {"geocoding_url", "forecast_url"} & kept
    filled = {name: value for name, value in values.items() if name not in kept}
    filled["fetch_allow"] = (*given.fetch_allow, *values.get("fetch_allow", ()))
    return Settings.model_validate({**given.model_dump(), **filled})
