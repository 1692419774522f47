"""The dashboards and alert rules: each metric and label they use is in a scrape of a real worker.

`deploy/observability/alerts_test.yml` says when alerts fire and when not; promtool runs it.
"""

import json
import os
import re
import runpy
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from prometheus_client.samples import Sample
from temporalio.client import Client
from temporalio.service import RPCStatusCode

from durable_agents.db.engine import Database
from durable_agents.runtime.settings import Settings
from starters.main import COMMANDS
from tests.deploy.promql import kept_labels, missing_labels, parsed, selectors_in
from tests.deploy.scraping import SERVER_AWAY, scene_of, scraped
from tests.deploy.units import ROOT
from tests.steering import Simulator
from tests.workflows.runs import until

FOLDER = ROOT / "deploy" / "observability"
ALERTS, CASES = FOLDER / "alerts.yml", "alerts_test.yml"
OPERATIONS = ROOT / "docs" / "operations.md"
Json = dict[str, Any]

CODES = {SERVER_AWAY, *(code.name for code in RPCStatusCode)}
LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
OF_LABEL = re.compile(r"label_values\((.+), (\w+)\)")


@dataclass(frozen=True)
class Query:
    """An expression, where it stands, and the labels that its words show."""

    at: str
    expression: str
    shown: frozenset[str] = frozenset()


def rules() -> list[Json]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> dict[str, Json]:
    files = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}


def panels(dashboard: Json) -> list[Json]:
    """Those that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Every query of the alerts and of the dashboards."""
    for rule in rules():
        shown = LEGEND.findall("".join(rule["annotations"].values()))
        yield Query(rule["alert"], rule["expr"], frozenset(shown))
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                shown = LEGEND.findall(target["legendFormat"])
                at = f"{name} / {panel['title']} / {target['refId']}"
                yield Query(at, target["expr"], frozenset(shown))


def variables(dashboard: Json) -> dict[str, str]:
    """The queries of its variables by their names."""
    return {
        one["name"]: one["query"]["query"]
        for one in dashboard["templating"]["list"]
        if one["type"] == "query"
    }


QUERIES = {query.at: query for query in queries()}
RULES = {rule["alert"]: rule for rule in rules()}
DASHBOARDS = dashboards()


@pytest.fixture(scope="module")
async def samples(
    settings: Settings, client: Client, database: Database, simulator: Simulator
) -> AsyncIterator[list[Sample]]:
    """A scrape, once all is there that is looked for; what stays away a test names."""
    wanted = [one for query in QUERIES.values() for one in selectors_in(parsed(query.expression))]
    found: list[Sample] = []

    async with scene_of(settings, client, database, simulator) as service:

        async def is_all_there() -> bool:
            found[:] = await scraped(service)
            return all(any(map(one.takes, found)) for one in wanted)

        with suppress(AssertionError):
            await until(is_all_there, "everything is there", within=6)
        yield found


@pytest.mark.parametrize("at", QUERIES)
async def test_a_query_takes_what_a_worker_shows_and_its_words_what_it_keeps(
    samples: list[Sample], at: str
) -> None:
    expression = parsed(QUERIES[at].expression)

    taken = {one.text: any(map(one.takes, samples)) for one in selectors_in(expression)}

    assert taken
    assert [text for text, is_there in taken.items() if not is_there] == []
    assert missing_labels(expression, samples) == set()
    assert QUERIES[at].shown <= kept_labels(expression, samples)


@pytest.mark.parametrize("name", DASHBOARDS)
async def test_a_dashboards_variables_are_labels_that_a_worker_shows(
    samples: list[Sample], name: str
) -> None:
    for query in variables(DASHBOARDS[name]).values():
        found = OF_LABEL.fullmatch(query)
        assert found, query
        (one,) = selectors_in(parsed(found[1]))
        assert any(one.takes(sample) and found[2] in sample.labels for sample in samples), query


def test_the_dashboards_are_those_that_their_source_makes() -> None:
    build = runpy.run_path(str(FOLDER / "build_dashboards.py"))

    made = build["dashboards"]()

    assert {name: json.loads(text) for name, text in made.items()} == DASHBOARDS


def test_dashboards_have_names_of_their_own_and_take_their_source_from_a_variable() -> None:
    uids = [dashboard["uid"] for dashboard in DASHBOARDS.values()]
    sources = {
        json.dumps(found)
        for dashboard in DASHBOARDS.values()
        for found in found_under("datasource", dashboard)
    }

    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 40 for uid in uids)  # as many as Grafana takes
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
    assert all(
        dashboard["templating"]["list"][0]["name"] == "datasource"
        for dashboard in DASHBOARDS.values()
    )


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_panel_has_its_place_says_its_unit_and_what_to_make_of_it(name: str) -> None:
    every = DASHBOARDS[name]["panels"]
    places = Counter(cell for panel in every for cell in cells(panel["gridPos"]))

    assert len({panel["id"] for panel in every}) == len(every)
    assert set(places.values()) == {1}
    assert max(x for x, _ in places) < 24
    for panel in panels(DASHBOARDS[name]):
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"].endswith("."), panel["title"]
    used = set(re.findall(r"\$(\w+)", " ".join(one.expression for one in of_dashboard(name))))
    assert used <= {*variables(DASHBOARDS[name]), "__rate_interval"}


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_bad_it_is_what_it_means_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    words = rule["annotations"]

    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert set(words) == {"summary", "description", "action", "runbook"}
    assert not words["summary"].endswith(".")
    assert words["description"].endswith(".")
    assert words["action"].endswith(".")
    file, _, anchor = words["runbook"].partition("#")
    assert not anchor or anchor in anchors(ROOT / file)
    assert (ROOT / file).is_file()


def test_what_is_to_be_done_names_commands_and_settings_that_there_are() -> None:
    words = " ".join(
        [
            *(" ".join(rule["annotations"].values()) for rule in RULES.values()),
            *(panel["description"] for one in DASHBOARDS.values() for panel in panels(one)),
        ]
    )
    settings = {name.upper() for name in Settings.model_fields}

    commands = set(re.findall(r"`durable-agents ([\w-]+)", words))
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", words)) - CODES

    assert commands
    assert commands <= set(COMMANDS)
    assert named
    assert named <= settings


def test_operations_md_names_each_alert_and_how_bad_it_is() -> None:
    text = OPERATIONS.read_text(encoding="utf-8").partition("## What to alarm on\n")[2]

    named = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \|$", text, re.M)

    assert named == [(name, rule["labels"]["severity"]) for name, rule in RULES.items()]


@pytest.mark.skipif(
    not (shutil.which("promtool") or os.environ.get("CI")),
    reason="needs promtool: `apt-get install prometheus`",
)
@pytest.mark.parametrize("command", [("check", "rules", ALERTS.name), ("test", "rules", CASES)])
def test_the_alerts_fire_when_they_should_and_not_otherwise(command: tuple[str, ...]) -> None:
    ended = subprocess.run(
        ["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_each_alert_is_seen_to_fire() -> None:
    seen: set[str] = set()
    for case in yaml.safe_load((FOLDER / CASES).read_text(encoding="utf-8"))["tests"]:
        asked = [one for one in case.get("promql_expr_test", []) if one["exp_samples"]]
        seen |= {one["alertname"] for one in case.get("alert_rule_test", []) if one["exp_alerts"]}
        seen |= set(re.findall(r'alertname="(\w+)"', str(asked)))

    assert seen == set(RULES)


def of_dashboard(name: str) -> list[Query]:
    return [query for at, query in QUERIES.items() if at.startswith(f"{name} / ")]


def cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    """The cells of the grid that a panel covers."""
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def found_under(key: str, given: Any) -> Iterator[Any]:
    """Every value of a key, however deep."""
    if isinstance(given, dict):
        for name, value in cast(Json, given).items():
            if name == key:
                yield value
            else:
                yield from found_under(key, value)
    elif isinstance(given, list):
        for one in cast(list[Any], given):
            yield from found_under(key, one)


def anchors(file: Path) -> set[str]:
    """What links to the headings of a document end in."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
