"""The faults of the drills, each with how it comes and how it goes."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.drills.cuts import MANNERS, Cut, Manner
from tests.drills.episodes import Fault, Scenario, steps_of
from tests.drills.flows import Flow
from tests.drills.servers import Name
from tests.drills.stage import Stage

AWAY_S = 1.5  # how long a server stays away, or the network
SILENT_S = 6.0  # longer than a heartbeat timeout
FULL_S = 3.0
SOONEST_S, LATEST_S = 0.02, 0.1  # after the runs go on

SHOWN = {"temporal": "Temporal", "postgres": "PostgreSQL"}


class WorkerKilled(Fault):
    """The only worker is killed while each run is at its place; the next one takes over."""

    name = group = "worker killed"

    async def begin(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        stage.worker.kill()

    async def lift(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await stage.worker.until_ready()


class WorkerKilledInside(Fault):
    """The worker is killed a moment after each run goes on into a step."""

    name = "worker killed inside a step"
    group = WorkerKilled.group

    async def lift(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await asyncio.sleep(random.uniform(SOONEST_S, LATEST_S))
        stage.worker.kill()
        for one in scenarios:
            begun, ended = (Counter(steps_of(stage, one.word, w)) for w in ("begun", "ended"))
            one.met = bool(begun - ended)  # it was at work in a step
        await stage.worker.until_ready()


@dataclass
class ServerKilled(Fault):
    """A server is killed, stays away, and is started again on what it has left."""

    server: Name

    def __post_init__(self) -> None:
        self.name = self.group = f"{SHOWN[self.server]} killed"

    def fits(self, flow: Flow) -> bool:
        return flow.uses_database or self.server == "temporal"

    async def begin(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await stage.servers.kill(self.server)

    async def lift(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await asyncio.sleep(AWAY_S)
        await stage.servers.start(self.server)


@dataclass
class NetworkCut(Fault):
    """The network between the worker and a server is cut for a while."""

    to: Name
    manner: Manner

    def __post_init__(self) -> None:
        self.group = f"network to {SHOWN[self.to]} cut"
        self.name = f"{self.group}: {self.manner}"

    def fits(self, flow: Flow) -> bool:
        return flow.uses_database or self.to == "temporal"

    def _cut(self, stage: Stage) -> Cut:
        servers = stage.servers
        return servers.to_temporal if self.to == "temporal" else servers.to_postgres

    async def begin(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await self._cut(stage).begin(self.manner)

    async def lift(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        is_silent = self.manner in {"silent", "forgotten"}
        await asyncio.sleep(SILENT_S if is_silent else AWAY_S)
        await self._cut(stage).end()


class DiskFull(Fault):
    """The database has no room left, for a while."""

    name = group = "database's disk full"

    def fits(self, flow: Flow) -> bool:
        return flow.uses_database

    async def begin(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await stage.servers.fill_disk()

    async def lift(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        await asyncio.sleep(FULL_S)
        await stage.servers.free_disk()


@dataclass(kw_only=True)
class BadAnswers(Fault):
    """The model, or the service that is called, answers badly; then it answers well again.

    Attributes:
        faults: What goes wrong, one answer after the other, as the simulator takes it.
        after: How many answers are good before.
        route: Whether it is the model (`chat`) or a service (`weather`).
        needs_form: Whether it goes wrong only where the answer has to have a form, as each flow
            tells.
        calls: How often a run of each flow asks the model.
    """

    name: str  # pyright: ignore[reportGeneralTypeIssues]
    group: str
    faults: tuple[dict[str, Any], ...]
    after: int = 0
    route: str = "chat"
    needs_form: bool = False
    calls: dict[str, int] = field(default_factory=dict[str, int])

    def fits(self, flow: Flow) -> bool:
        if self.route == "weather":
            return flow.calls_service
        return flow.asks_model and not (self.needs_form and flow.structured is None)

    async def arrange(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        for one in scenarios:
            good = self._good_before(one.flow)
            passing = [{"kind": "latency", "times": good}] if good else []
            match = one.flow.match(one.word, self.route)
            for fault in (*passing, *self.faults):
                await stage.simulator.ask_for({"route": self.route, **fault, "match": match})

    def _good_before(self, flow: Flow) -> int:
        if self.route == "weather":
            return 0
        if self.needs_form:
            assert flow.structured is not None  # it fits
            return flow.structured % max(self.calls[flow.name], 1)
        return self.after % max(self.calls[flow.name], 1)

    async def conclude(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        left = {fault["match"] for fault in await stage.simulator.faults_left()}
        for one in scenarios:
            match = one.flow.match(one.word, self.route)
            one.met = match not in left
            await stage.simulator.forget(match)


TOO_MANY: dict[str, dict[str, Any]] = {
    "429, nothing said": {"status": 429},
    "429, Retry-After in ms": {"status": 429, "retry_after": {"form": "ms", "value": 80}},
    "429, Retry-After in s": {"status": 429, "retry_after": {"form": "seconds", "value": 1}},
    "429, Retry-After as date": {"status": 429, "retry_after": {"form": "date", "value": 1}},
}
BROKEN: dict[str, tuple[str, dict[str, Any]]] = {
    "500": ("500", {"status": 500}),
    "connection ends in an answer": ("half an answer", {"kind": "drop"}),
    "JSON that breaks off": ("half an answer", {"kind": "invalid_json"}),
}
WITHOUT_SENSE: dict[str, tuple[str, dict[str, Any]]] = {
    "an empty answer": ("nothing", {"kind": "empty"}),
    "an answer cut short": ("half an answer", {"kind": "cut_short"}),
    "nonsense": ("nonsense", {"kind": "nonsense"}),
}
SILENCE: dict[str, Any] = {"kind": "hang"}
# Longer than a heartbeat timeout; then the connection ends.
SHORT_SILENCE: dict[str, Any] = {"kind": "drop", "latency_s": 6}


def bad_answers(calls: dict[str, int], after: int, *, patient: bool) -> list[Fault]:
    """All that a model or a service does wrong, one thing at a time.

    Args:
        calls: How often a run of each flow asks the model.
        after: How many answers are good before.
        patient: Whether to wait for an answer that never comes, which takes a minute.
    """
    found: list[Fault] = []
    for who, route in (("model", "chat"), ("service", "weather")):
        single = {name: ("429", fault) for name, fault in TOO_MANY.items()} | BROKEN
        if patient:
            single["no answer"] = ("nothing", SILENCE)
        for name, (group, fault) in single.items():
            told: dict[str, Any] = {"name": f"{who}: {name}", "group": f"{who}: {group}"}
            told |= {"route": route, "after": after, "calls": calls}
            found.append(BadAnswers(faults=(fault,), **told))
    for name, (group, fault) in WITHOUT_SENSE.items():
        told = {"name": f"model: {name}", "group": f"model: {group}", "calls": calls}
        found.append(BadAnswers(faults=(fault,), needs_form=True, **told))
    return found


def bad_answers_in_turn(calls: dict[str, int]) -> list[Fault]:
    """The same for those in a hurry: a run meets several, one after the other.

    Those that name no delay come first, since the delays grow from try to try. None waits for
    the whole minute in which an answer never comes. Last comes what a flow may take for an answer.
    """
    later = tuple(TOO_MANY.values())
    broken = tuple(fault for _, fault in BROKEN.values())
    senseless = tuple(fault for _, fault in WITHOUT_SENSE.values())
    named: dict[str, dict[str, Any]] = {
        "model: 429, 500": {"faults": (later[0], broken[0], *later[1:])},
        "model: half answers": {"faults": (*broken[1:], senseless[1]), "needs_form": True},
        "model: nothing": {"faults": (SHORT_SILENCE, senseless[0]), "needs_form": True},
        "model: nonsense": {"faults": senseless[2:], "needs_form": True},
        "service: 429": {"faults": later, "route": "weather"},
        "service: 500, half answers, nothing": {
            "faults": (*broken[:2], SHORT_SILENCE, broken[2]),
            "route": "weather",
        },
    }
    return [BadAnswers(name=name, group="", calls=calls, **told) for name, told in named.items()]


class EachItsOwn(Fault):
    """Several faults at once, one for each run: each befalls that run alone."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = {fault.name: fault for fault in faults}
        self.name = self.group = "bad answers"

    def of(self, scenario: Scenario) -> Fault:
        return self._faults[scenario.place.meets]

    async def arrange(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        for name, fault in self._faults.items():
            await fault.arrange(stage, [one for one in scenarios if one.place.meets == name])

    async def conclude(self, stage: Stage, scenarios: Sequence[Scenario]) -> None:
        for name, fault in self._faults.items():
            await fault.conclude(stage, [one for one in scenarios if one.place.meets == name])


def of_servers() -> list[Fault]:
    """All that befalls servers and the network to them."""
    servers: tuple[Name, ...] = ("temporal", "postgres")
    killed = [ServerKilled(server) for server in servers]
    cut = [NetworkCut(server, manner) for server in servers for manner in MANNERS]
    return [*killed, *cut, DiskFull()]
