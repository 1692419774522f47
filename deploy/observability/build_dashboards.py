"""Makes the Grafana dashboards in `grafana/dashboards` of `dashboards.yml`.

`python deploy/observability/build_dashboards.py` writes the files. They are in Grafana's classic
model, which every release of it takes, at version 42 of its schema, the last one.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
SOURCE = HERE / "dashboards.yml"
FOLDER = HERE / "grafana" / "dashboards"

Json = dict[str, Any]
SCHEMA_VERSION = 42
COLUMNS = 24
HEIGHTS = {"row": 1, "stat": 4, "timeseries": 8}
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = {
    "job": "label_values(durable_agents_build_info, job)",
    "namespace": 'label_values(temporal_num_pollers{job=~"$job"}, namespace)',
}


def dashboards() -> dict[str, str]:
    """The text of each file by its name."""
    source = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return {
        f"{one['uid'].removeprefix('durable-agents-')}.json": _text(dashboard(one))
        for one in source
    }


def dashboard(given: Json) -> Json:
    """A dashboard as Grafana reads it."""
    variables = {**VARIABLES, **given.get("variables", {})}
    return {
        "uid": given["uid"],
        "title": given["title"],
        "description": given["description"],
        "tags": ["durable-agents"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,  # one crosshair over all panels
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": [_LINK],
        "templating": {"list": [_DATASOURCES, *_queried(variables)]},
        "annotations": {"list": []},
        "panels": list(_panels(given["rows"])),
    }


_LINK: Json = {
    "type": "dashboards",
    "title": "Durable Agents",
    "tags": ["durable-agents"],
    "asDropdown": True,
    "includeVars": True,
    "keepTime": True,
}
_DATASOURCES: Json = {
    "type": "datasource",
    "name": "datasource",
    "label": "Prometheus",
    "query": "prometheus",
    "current": {},
    "refresh": 1,
}


def _queried(variables: Mapping[str, str]) -> Iterator[Json]:
    for name, query in variables.items():
        yield {
            "type": "query",
            "name": name,
            "label": name.capitalize(),
            "datasource": DATASOURCE,
            "query": {"query": query, "refId": "A"},
            "refresh": 2,  # whenever the time changes
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
            "sort": 1,
        }


def _panels(rows: list[Json]) -> Iterator[Json]:
    """The panels, row by row from left to right."""
    number, x, y, height = 0, 0, 0, 0
    for row in rows:
        panels: list[Json] = [{"title": row["title"], "kind": "row"}, *row["panels"]]
        for given in panels:
            kind = str(given.get("kind", "timeseries"))
            width = COLUMNS if kind == "row" else int(given.get("width", COLUMNS // 3))
            if kind == "row" or x + width > COLUMNS:
                x, y, height = 0, y + height, 0
            number += 1
            place = {"x": x, "y": y, "w": width, "h": HEIGHTS[kind]}
            yield {"id": number, "gridPos": place, **_panel(kind, given)}
            x, height = x + width, max(height, HEIGHTS[kind])


def _panel(kind: str, given: Json) -> Json:
    if kind == "row":
        return {"type": "row", "title": given["title"], "collapsed": False, "panels": []}
    return {
        "type": kind,
        "title": given["title"],
        "description": given["description"],
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": _field(kind, given), "overrides": []},
        "options": _OPTIONS[kind],
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": DATASOURCE,
                "editorMode": "code",
                "expr": query["expr"],
                "legendFormat": query.get("legend", ""),
                "range": kind == "timeseries",
                "instant": kind == "stat",
            }
            for place, query in enumerate(given["queries"])
        ],
    }


_OPTIONS: dict[str, Json] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}


def _field(kind: str, given: Json) -> Json:
    field: Json = {"unit": given.get("unit", "short"), "min": 0, "thresholds": _thresholds(given)}
    if "names" in given:
        named = {str(value): {"text": name} for value, name in given["names"].items()}
        field["mappings"] = [{"type": "value", "options": named}]
    if kind == "timeseries":
        drawn: Json = {"fillOpacity": 10, "showPoints": "auto", "spanNulls": False}
        if given.get("stack"):
            drawn["stacking"] = {"mode": "normal", "group": "A"}
        if "orange" in given or "red" in given:
            drawn["thresholdsStyle"] = {"mode": "line"}
        field["custom"] = drawn
    return field


def _thresholds(given: Json) -> Json:
    base = "red" if "red_below" in given else "green"
    colours = {"red_below": "green", "orange": "orange", "red": "red"}
    steps = [{"color": colour, "value": given[at]} for at, colour in colours.items() if at in given]
    return {"mode": "absolute", "steps": [{"color": base, "value": None}, *steps]}


def _text(given: Json) -> str:
    return json.dumps(given, indent=2) + "\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
