"""The design as far as a machine can hold it: the arrows of imports, sizes, names."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("durable_agents", "activities", "workflows", "workers", "starters", "inbox")
MODULES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))

# Who may import whom, besides itself.
BENEATH: dict[str, set[str]] = {
    "models": set(),
    "telemetry": set(),
    "db": {"models", "telemetry"},
    "clients": {"models", "telemetry"},
    "agent": {"models", "telemetry", "db", "clients"},
    "jobs": {"models", "telemetry", "db", "clients", "agent"},
    "runtime": {"models", "telemetry", "db", "clients"},
    "simulator": set(),
}
UNDER_ALL = {"durable_agents.models", "durable_agents.telemetry"}
SKILLS = {f"durable_agents.{part}" for part in BENEATH.keys() - {"runtime", "simulator"}}
ALLOWED: dict[str, set[str]] = {
    **{
        f"durable_agents.{part}": {f"durable_agents.{p}" for p in uses}
        for part, uses in BENEATH.items()
    },
    "activities": SKILLS,
    "workflows": {"activities", *UNDER_ALL, "durable_agents.agent"},
    "workers": {"workflows", "activities", "durable_agents.runtime", *SKILLS},
    "starters": {"workers", "inbox", "durable_agents.runtime", *SKILLS},
    "inbox": {"durable_agents.runtime", *SKILLS},
}
LONGEST_MODULE = 250  # lines that are not blank
LONGEST_FUNCTION = 40  # lines without its docstring
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
TAKEN = {"agents", "mcp", "openai", "temporalio", "pydantic"}


def part_of(module: str) -> str:
    """The part that a module belongs to: `durable_agents.db`, or `workflows`."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] == "durable_agents" else names[0]


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imported_by(file: Path) -> Iterator[str]:
    """The modules of the project that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            if node.module == "durable_agents":
                yield from (f"durable_agents.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_point_one_way() -> None:
    astray = {name_of(file): against for file in MODULES if (against := _against_the_arrows(file))}

    assert len(MODULES) > 50
    assert astray == {}


def _against_the_arrows(file: Path) -> set[str]:
    part = part_of(name_of(file))
    used = {part_of(name) for name in imported_by(file) if name.split(".")[0] in PACKAGES}
    return used - {part} - ALLOWED.get(part, set())


def test_modules_are_short() -> None:
    long = {
        name_of(file): count
        for file in MODULES
        if (count := sum(bool(line.strip()) for line in _lines(file))) > LONGEST_MODULE
    }

    assert long == {}


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def test_functions_are_short() -> None:
    long = {
        f"{name_of(file)}.{node.name}": lines_of(node)
        for file in MODULES
        if "versions" not in file.parts  # a migration lists what it makes
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and lines_of(node) > LONGEST_FUNCTION
    }

    assert long == {}


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How long a function is, without its docstring."""
    last = function.end_lineno or function.lineno
    whole = last - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None or first.end_lineno is None:
        return whole
    return whole - (first.end_lineno - first.lineno + 1)


def test_names_say_what_is_inside() -> None:
    names = {part for file in MODULES for part in file.relative_to(ROOT).with_suffix("").parts}

    assert names & VAGUE == set()
    assert {file.relative_to(ROOT).parts[0] for file in MODULES} & TAKEN == set()


def test_workflows_import_the_project_in_a_block_that_the_sandbox_passes_through() -> None:
    foreign = (*PACKAGES, "pydantic", "openai", "httpx2", "sqlalchemy")

    loose = {
        name_of(file): node.module
        for file in sorted((ROOT / "workflows").glob("*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in foreign
    }

    assert loose == {}


def test_raw_calls_to_the_server_are_tried_again() -> None:
    """The server ends each connection after minutes, and a call that is under way then fails."""
    services = {"workflow_service", "operator_service"}

    once = [
        f"{name_of(file)}:{node.lineno}"
        for file in [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr in services
        and "retry" not in {given.arg for given in node.keywords}
    ]

    assert once == []
