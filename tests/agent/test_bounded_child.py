"""A reader of hostile text has nothing that it could give away."""

from pathlib import Path

import pytest

from durable_agents.agent.bounded_child import read_in_child

SCRIPT = "import json, os; print(json.dumps(dict(os.environ)))"


async def test_a_child_gets_no_secrets_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter-2-hunter")
    script = tmp_path / "reader.py"
    script.write_text(SCRIPT)

    seen = await read_in_child(str(script), b"", cpu_seconds=5, memory_bytes=2**29, wall_seconds=60)

    assert not seen.keys() & {"OPENAI_API_KEY", "HOME"}
    assert "PATH" in seen
