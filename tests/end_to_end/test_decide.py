"""`durable-agents review` and `decide` as people use them."""

import asyncio
import secrets

import pytest

from tests.commanding import Commands

pytestmark = pytest.mark.usefixtures("service")


async def start(command: Commands) -> str:
    """A review that waits for a decision; its id."""
    workflow_id = f"run-{secrets.token_hex(6)}"
    started = await command("review", "task-5", "--no-wait", "--id", workflow_id)
    assert started.code == 0, started.err
    return workflow_id


async def waiting(command: Commands, workflow_id: str, revision: int = 1) -> dict[str, str]:
    """What `decide` tells of the revision that waits, once it does."""
    async with asyncio.timeout(30):
        while True:
            ended = await command("decide", workflow_id, "--json")
            if ended.code == 0 and ended.json["revision"] == revision:
                return ended.json
            assert ended.code in {0, 2}, ended.err


async def test_a_text_is_shown_then_rejected_then_approved_by_its_digest(
    command: Commands,
) -> None:
    workflow_id = await start(command)
    first = await waiting(command, workflow_id)

    shown = await command("decide", workflow_id)
    rejected = await command("decide", workflow_id, "--reject", "Shorter.", "--by", "Ann")
    second = await waiting(command, workflow_id, 2)
    stale = await command("decide", workflow_id, "--approve", "--digest", first["digest"])
    approved = await command("decide", workflow_id, "--approve", "--digest", second["digest"])
    late = await command("decide", workflow_id, "--approve")

    assert shown.out.strip() == first["content"].strip()
    assert f"--digest {first['digest']}" in shown.err
    assert rejected.out.strip() == "Taken: revision 1 was rejected by Ann."
    assert f"revision 1 (digest {first['digest']})" in rejected.err
    assert first["content"][:100].split("\n")[0] in rejected.err
    assert stale.code == 2
    assert "about another text" in stale.err
    assert (approved.code, approved.err) == (0, "")
    assert approved.out.startswith("Taken: revision 2 was approved by ")
    assert late.code == 2
    assert "already" in late.err


async def test_as_json_a_decision_tells_what_it_was_about(command: Commands) -> None:
    workflow_id = await start(command)
    read = await waiting(command, workflow_id)

    ended = await command("decide", workflow_id, "--approve", "--by", "Bo", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert {**read, "verdict": "approve", "by": "Bo"}.items() >= {
        name: ended.json[name] for name in ("id", "digest", "content", "verdict", "by", "revision")
    }.items()
