"""Text that PostgreSQL cannot keep, at every door of the database."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from durable_agents.db import (
    approvals,
    documents,
    drafts,
    error_log,
    knowledge,
    library,
    notifications,
    tasks,
)
from durable_agents.db import research as reports
from durable_agents.db.approval_lists import get_request
from durable_agents.db.approvals import Subject
from durable_agents.db.documents import Note
from durable_agents.db.engine import Database
from durable_agents.db.observations import add_observation
from durable_agents.db.seed import seed
from durable_agents.db.storable import storable, storable_json
from durable_agents.db.threads import NewMessage, Step, append, find_message, open_thread
from durable_agents.db.tickets import file_ticket
from durable_agents.models.approval import RequestApprovalInput, SettleRequestInput
from durable_agents.models.conversation import LoggedError
from durable_agents.models.notifications import NotifyInput

BAD = "a\x00b \ud83d c \ud83d\ude00"
GOOD = "a\ufffdb \ufffd c \U0001f600"


def token() -> str:
    return f"storable-{uuid.uuid4()}"


async def new_task(database: Database) -> str:
    task_id = token()
    statement = text("INSERT INTO tasks (task_id, title, body) VALUES (:id, :title, :body)")
    async with database.statement() as connection:
        await connection.execute(statement, {"id": task_id, "title": BAD, "body": BAD})
    return task_id


@given(st.text(st.characters(exclude_categories=()), max_size=50))
def test_any_text_becomes_one_that_can_be_kept_and_stays_so(said: str) -> None:
    kept = storable(said)

    kept.encode()
    assert "\x00" not in kept
    assert storable(kept) == kept


@given(st.text(max_size=50).filter(lambda said: "\x00" not in said))
def test_text_that_can_be_kept_stays_as_it_is(said: str) -> None:
    assert storable(said) == said


def test_what_hides_behind_the_escapes_of_json_is_replaced() -> None:
    value = {BAD: [BAD, {"n": 1, "t": None}, "\\u0000"]}

    assert json.loads(storable_json(value)) == {GOOD: [GOOD, {"n": 1, "t": None}, "\\u0000"]}


async def test_an_id_with_a_nul_is_not_taken_for_another_id(database: Database) -> None:
    task_id = await new_task(database)

    async with database.statement() as connection:
        with pytest.raises(tasks.NotFoundError):
            await tasks.find_facts(connection, f"{task_id}\x00")


async def test_results_of_tasks(database: Database) -> None:
    task_id = await new_task(database)

    async with database.statement() as connection:
        await tasks.save_result(connection, task_id=task_id, result=BAD)
        task = await tasks.get_task(connection, task_id)

    assert (task.title, task.body, task.result) == (GOOD, GOOD, GOOD)


async def test_notes_and_analyses_of_documents(database: Database) -> None:
    run_id, found = token(), {"topics": [BAD], "text": BAD}

    async with database.statement() as connection:
        await documents.save_note(connection, run_id, Note("topics", 0, found))
        (note,) = await documents.read_notes(connection, run_id, "topics")
        await documents.save_analysis(
            connection, run_id=run_id, document_id="warranty", result=found, missing=[]
        )
        query = text("SELECT result FROM analyses WHERE run_id = :run")
        analysis = await connection.scalar(query, {"run": run_id})

    assert note.note == analysis == {"topics": [GOOD], "text": GOOD}


async def test_tickets_filed_twice(database: Database) -> None:
    key = token()

    filed = [
        await file_ticket(database, key=key, run_id=token(), subject=BAD, description=BAD)
        for _ in range(2)
    ]

    async with database.statement() as connection:
        query = text("SELECT subject, description FROM tickets WHERE effect_key = :key")
        (row,) = (await connection.execute(query, {"key": key})).all()
    assert (row.subject, row.description) == (GOOD, GOOD)
    assert filed[0].subject == GOOD
    assert filed[0] == filed[1]


async def test_requests_for_decisions(database: Database) -> None:
    asked = RequestApprovalInput(step=BAD, kind="review", subject=BAD, asked_by=BAD)
    subject = Subject(title=BAD, content=BAD)
    async with database.transaction() as connection:
        added = await approvals.add_request(
            connection, asked, subject, workflow_id="w", run_id=token()
        )
        end = SettleRequestInput(
            request_id=added.request_id,
            status="rejected",
            by=BAD,
            feedback=BAD,
            at=datetime.now(UTC),
        )
        await approvals.settle_request(connection, end)
        row = await get_request(connection, added.request_id)

    held = approvals.digest_of(run_id=row.run_id, step=BAD, revision=1, content=row.content)
    assert (row.content, row.asked_by, row.decided_by, row.feedback) == (GOOD, GOOD, GOOD, GOOD)
    assert held == added.digest


async def test_errors_drafts_and_reports(database: Database) -> None:
    run_id = token()

    async with database.transaction() as connection:
        await error_log.log_error(
            connection,
            workflow_id=run_id,
            run_id=run_id,
            step="s",
            error=LoggedError(type="T", message=BAD),
        )
        (logged,) = await error_log.list_errors(connection, workflow_id=run_id)
        draft = await drafts.save_draft(connection, Step(run_id, "d"), kind="k", content=BAD)
        kept = await drafts.get_draft(connection, draft)
        await reports.save_report(
            connection, run_id=run_id, user_id="u", query=BAD, report=BAD, confidence=1, rounds=0
        )

    assert (logged.message, kept.content) == (GOOD, GOOD)


async def test_messages_with_tool_calls_and_observations(database: Database) -> None:
    step = Step(token(), "s")
    called = [{"id": "c\x00", "name": BAD, "arguments": "\ud800"}]

    async with database.transaction() as connection:
        opened = await open_thread(connection, step, user_id=BAD, agent="a", content=BAD)
        said = NewMessage(role="assistant", content=BAD, index=1, tool_calls=called, model=BAD)
        message = await append(connection, step, said, parent=opened.head)
        await add_observation(
            connection, Step(step.run_id, "o"), answers=message, call=0, content=BAD
        )
        stored = await find_message(connection, message)

    assert (stored.content, stored.model) == (GOOD, GOOD)
    assert stored.tool_calls == [{"id": "c\ufffd", "name": GOOD, "arguments": "\ufffd"}]


async def test_a_notification_that_is_asked_for_again_is_the_same(database: Database) -> None:
    request = NotifyInput(key=token(), user_id="u\x00", title="\x00t", body="b\x00b")

    async with database.transaction() as connection:
        claims = [
            await notifications.claim(connection, request, run_id="r", resend_uncertain=False)
            for _ in range(2)
        ]

    assert [claim.standing for claim in claims] == ["claimed", "uncertain"]


async def test_documents_that_are_added_and_searched(database: Database) -> None:
    word = "".join(character for character in token() if character.isalpha())

    async with database.transaction() as connection:
        content = f"# T\n\n{word} {BAD}"
        added = [
            await library.add_document(
                connection, document_id=word, title=BAD, source=BAD, content=content
            )
            for _ in range(2)
        ]
        (hit,) = await knowledge.search(connection, f"{word} \x00\ud800")

    assert added == [1, 0]
    assert (hit.title, hit.source) == (GOOD, GOOD)


async def test_sample_data(database: Database, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    task_id = token()
    rows = [{"task_id": task_id, "user_id": "u", "title": "T\x00", "body": "B\x00"}]
    files = {"accounts": [], "tasks": rows, "products": [], "orders": []}
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    document = f"# T\x00\n\nText \x00 of {task_id}."
    (tmp_path / "documents" / f"{task_id}.md").write_text(document, encoding="utf-8")

    counts = await seed(database, tmp_path)

    assert (counts.tasks, counts.documents_changed) == (1, 1)
    async with database.statement() as connection:
        assert (await tasks.get_task(connection, task_id)).body == "B\ufffd"
        delete = text("DELETE FROM documents WHERE document_id = :id")
        await connection.execute(delete, {"id": task_id})
