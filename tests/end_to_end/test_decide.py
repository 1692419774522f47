"""`durable-agents review` and `decide` as people use them."""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from durable_agents.models.approval import PendingApproval
from tests.commanding import Commands
from tests.workflows.reviewing import finished_tasks, reset, until_another

pytestmark = pytest.mark.usefixtures("service")


async def start(command: Commands) -> str:
    """A review that waits for a decision; its id."""
    workflow_id = f"run-{secrets.token_hex(6)}"
    started = await command("review", "task-5", "--no-wait", "--id", workflow_id)
    assert started.code == 0, started.err
    return workflow_id


async def waiting(command: Commands, workflow_id: str, revision: int = 1) -> dict[str, Any]:
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
    assert f"durable-agents decide {first['request_id']}" in shown.err
    assert rejected.out.strip() == "Taken: revision 1 was rejected by Ann."
    assert f"revision 1 (digest {first['digest']})" in rejected.err
    assert first["content"][:100].split("\n")[0] in rejected.err
    assert stale.code == 2
    assert "Revision 1 was rejected by Ann already" in stale.err
    assert approved.code == 0
    assert "counts as unverified: set DURABLE_AGENTS_TOKEN" in approved.err
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


async def test_a_call_that_needs_leave_waits_is_listed_edited_by_its_number_and_made_once(
    command: Commands, tmp_path: Path
) -> None:
    workflow_id, word = f"run-{secrets.token_hex(6)}", secrets.token_hex(6)
    task = f"file a ticket for account A-1001: printer {word} is on fire"
    started = await command("react", task, "--no-wait", "--id", workflow_id)
    asked = await waiting(command, workflow_id)
    edit = tmp_path / "edit.json"
    changed = {"subject": f"Printer {word}", "description": "It burns.", "priority": "high"}
    await asyncio.to_thread(edit.write_text, json.dumps(changed))

    listed = await command("reviews", "--kind", "tool", "--run", workflow_id, "--json")
    shown = await command("reviews", "--run", workflow_id)
    number = str(listed.json[0]["request_id"])
    decided = await command("decide", number, "--edit", str(edit), "--by", "Ann")
    again = await command("decide", number, "--approve")
    attended = await command("react", "What is 6 * 7?")

    assert started.code == 0
    assert asked["kind"] == "tool"
    assert [one["title"] for one in listed.json] == [asked["title"]]
    assert "file_ticket" in shown.out
    assert decided.code == 0, decided.err
    assert "was edited and approved by Ann" in decided.out
    assert again.code == 2
    assert "approved by Ann already" in again.err
    assert attended.code == 0


async def test_a_token_makes_a_decision_verified_and_its_lack_is_told(command: Commands) -> None:
    name = f"ann-{secrets.token_hex(4)}"
    await command("users", "add", name)
    made = await command("users", "token", name)
    token = made.out.strip()
    workflow_id = await start(command)
    await waiting(command, workflow_id)

    wrong = await command("decide", workflow_id, "--approve", DURABLE_AGENTS_TOKEN="da_wrong")
    other = await command(
        "decide", workflow_id, "--approve", "--by", "Bo", DURABLE_AGENTS_TOKEN=token
    )
    mine = await command(
        "reviews", "--mine", "--run", workflow_id, "--json", DURABLE_AGENTS_TOKEN=token
    )
    good = await command("decide", workflow_id, "--approve", "--json", DURABLE_AGENTS_TOKEN=token)
    denials = await command("users", "denials", "--json")

    assert (wrong.code, "is not a token that lets anybody in" in wrong.err) == (2, True)
    assert "token that lets nobody in" in {one["why"] for one in denials.json["denials"]}
    assert (other.code, f"The token is that of {name}" in other.err) == (2, True)
    assert len(mine.json) == 1
    assert good.code == 0, good.err
    assert (good.json["by"], good.json["verified"]) == (name, True)


async def test_after_a_reset_the_decision_before_stands_only_when_somebody_says_so(
    command: Commands, commanded: Client
) -> None:
    name = f"ann-{secrets.token_hex(4)}"
    await command("users", "add", name)
    token = (await command("users", "token", name)).out.strip()
    workflow_id = await start(command)
    asked = await waiting(command, workflow_id)
    early = await command("decide", workflow_id, "--as-before")
    handle = commanded.get_workflow_handle(workflow_id)
    task = (await finished_tasks(handle))[-1]
    await command("decide", workflow_id, "--approve", "--by", "Bo")
    await handle.result()

    again = await reset(commanded, handle, task)
    anew = await until_another(again, PendingApproval(subject="", digest=asked["digest"]))
    number = str(anew.request_id)
    decided = await command("decide", number, "--as-before", DURABLE_AGENTS_TOKEN=token)
    result = await again.result()

    assert early.code == 2
    assert "Nobody has decided on the content" in early.err
    assert anew.digest != asked["digest"]
    assert decided.code == 0, decided.err
    assert f"As request {asked['request_id']}, approved by Bo, which nobody verified." in (
        decided.err
    )
    assert f"was approved by {name}" in decided.out
    assert (result.status, result.decided_by, result.verified) == ("approved", name, True)


async def test_somebody_who_waits_for_a_run_is_told_for_whom_it_waits_and_how_to_decide(
    command: Commands,
) -> None:
    workflow_id = f"run-{secrets.token_hex(6)}"
    task = "file a ticket for account A-1001: printer is on fire"

    attended = asyncio.ensure_future(command("react", task, "--id", workflow_id))
    await asyncio.sleep(3)  # it looks more than once a second
    await waiting(command, workflow_id)
    await command("decide", workflow_id, "--reject", "Call them instead.", "--by", "Ann")
    ended = await attended

    assert ended.code == 0
    assert "It waits for a reviewer to decide on file_ticket" in ended.err
    assert "`durable-agents decide " in ended.err
    assert "rejected this call" in ended.out
