"""Show what waits for a decision, and decide: approve it, reject it, or edit and approve it."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from temporalio.client import Client

from durable_agents.clients.signatures import signature_of
from durable_agents.db.approval_lists import (
    RequestRecord,
    decided_before,
    digest_held,
    get_request,
)
from durable_agents.db.approvals import canonical, record_refusal, save_edit
from durable_agents.db.engine import Database
from durable_agents.models.approval import MAX_EDIT_CHARS, Decision, TakenDecision, Verdict
from durable_agents.models.errors import DecisionRefusedError, InputError
from durable_agents.models.people import Person
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.database import database_url
from starters.options import AsJson, By, login, text_of
from starters.person import TOKEN, person_here
from starters.terminal import main_of, note, print_json, run, say
from starters.waiting_runs import RefusedByRunError, Waiting, submit, waiting_of

BEGINNING_CHARS = 500  # of a text that is decided on by its beginning
VIA = "command"
UNVERIFIED = (
    f"Decided without a token, so that it counts as unverified: set {TOKEN} to one of "
    "`durable-agents users token NAME` to have your decisions verified."
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The request's number, or the run's id.")]
Digest = Annotated[
    str,
    typer.Option(
        "--digest",
        help="That of the text you read, so that no other is meant. When left out, the text that "
        "waits now is shown and decided on, and no other.",
    ),
]


@dataclass(frozen=True)
class Choice:
    """What a person chose; `edit` is the new text or arguments, or None."""

    verdict: Verdict
    feedback: str = ""
    edit: str | None = None


@dataclass(frozen=True)
class Desk:
    """Where decisions are made: by whom, and with what."""

    settings: Settings
    client: Client
    database: Database
    person: Person | None


def decide(
    request: Id,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it.")] = False,
    reject: Annotated[
        str | None,
        typer.Option("--reject", metavar="FEEDBACK", help="Reject it; say what to change."),
    ] = None,
    edit: Annotated[
        Path | None,
        typer.Option("--edit", help="Approve this text instead, or these arguments as JSON."),
    ] = None,
    as_before: Annotated[
        bool, typer.Option("--as-before", help="Decide as on the same content before a reset.")
    ] = False,
    by: By = "",
    digest: Digest = "",
    as_json: AsJson = False,
) -> None:
    """Show what waits for a decision; with --approve, --reject, --edit or --as-before, decide."""
    if sum((approve, reject is not None, edit is not None, as_before)) > 1:
        raise typer.BadParameter("give one of --approve, --reject, --edit and --as-before.")

    async def work(settings: Settings) -> None:
        choice = _choice(approve=approve, reject=reject, edit=edit)
        async with _desk(settings) as desk:
            waiting, asked = await find(desk, request)
            if choice is None and as_before:
                choice = await _as_before(desk, asked)
            if choice is None:
                _show(waiting, asked, as_json=as_json)
                return
            if not digest and not as_json:
                _show_beginning(waiting, asked)
            decision = await _decision(desk, waiting, asked, choice, by=by, digest=digest)
            taken = await _send(desk, waiting, decision)
        read = {} if digest else {"content": content_of(asked)}
        _tell(waiting, taken, read, as_json=as_json)

    run(work, as_json=as_json)


def _tell(
    waiting: Waiting, taken: TakenDecision, read: Mapping[str, str], *, as_json: bool
) -> None:
    if as_json:
        print_json({"id": waiting.workflow_id, **taken.model_dump(mode="json"), **read})
        return
    say(f"Taken: {taken.sentence()}.")
    if not taken.verified:
        note(UNVERIFIED)


def _choice(*, approve: bool, reject: str | None, edit: Path | None) -> Choice | None:
    if approve:
        return Choice("approve")
    if reject is not None:
        return Choice("reject", reject)
    if edit is not None:
        return Choice("edit", edit=text_of(None, edit, what="edit"))
    return None


@asynccontextmanager
async def _desk(settings: Settings) -> AsyncGenerator[Desk]:
    database = Database(database_url(settings))
    try:
        person = await person_here(database)
        yield Desk(settings, await connect(settings), database, person)
    finally:
        await database.close()


async def find(desk: Desk, request: str) -> tuple[Waiting, RequestRecord]:
    """Read what waits, by the number of the request or the id of its run.

    Raises:
        NotFoundError: There is no such request or run.
        DecisionRefusedError: It does not wait, or the database has another content than the run.
    """
    number = int(request) if request.isascii() and request.isdigit() and len(request) < 19 else 0
    async with desk.database.statement() as connection:
        if number:
            asked = await get_request(connection, number)
            _still_waits(asked)
            waiting = await waiting_of(desk.client, asked.workflow_id, request_id=number)
        else:
            waiting = await waiting_of(desk.client, request)
            asked = await get_request(connection, waiting.pending.request_id)
    pending = waiting.pending
    if digest_held(asked) != pending.digest:
        raise DecisionRefusedError(
            f"The content of request {asked.request_id} is not the one that the run asks about "
            f"(digest {pending.digest}): it was changed in the database, or DATABASE_URL names "
            "another one. Reject it with the signal `decide` to have it made anew."
        )
    return waiting, asked


def _still_waits(asked: RequestRecord) -> None:
    if asked.status == "pending":
        return
    by = f" by {asked.decided_by}" if asked.decided_by else ""
    raise DecisionRefusedError(
        f"Request {asked.request_id} is {asked.status}{by} already; there is nothing to decide."
    )


def content_of(asked: RequestRecord) -> str:
    """What is decided on: the text, or the arguments of the call as JSON."""
    return asked.content if asked.arguments is None else canonical(asked.arguments)


async def _as_before(desk: Desk, asked: RequestRecord) -> Choice:
    """The decision that a person made on the same content before.

    Raises:
        InputError: There was none.
    """
    async with desk.database.statement() as connection:
        before = await decided_before(connection, asked)
    if before is None:
        raise InputError(
            f"Nobody has decided on the content of request {asked.request_id} before: decide now."
        )
    unsure = "" if before.verified else ", which nobody verified"
    note(f"As request {before.request_id}, {before.status} by {before.decided_by}{unsure}.")
    if before.status == "rejected":
        return Choice("reject", before.feedback)
    if before.edited_arguments is not None:
        return Choice("edit", before.feedback, canonical(before.edited_arguments))
    if before.edited_content is not None:
        return Choice("edit", before.feedback, before.edited_content)
    return Choice("approve", before.feedback)


async def _decision(
    desk: Desk, waiting: Waiting, asked: RequestRecord, choice: Choice, *, by: str, digest: str
) -> Decision:
    """The decision as it is sent: signed, when a token says who decides."""
    person = desk.person
    if person is not None and by and by != person.name:
        raise InputError(f"The token is that of {person.name}: leave --by out, or unset {TOKEN}.")
    decision = Decision(
        verdict=choice.verdict,
        digest=digest or waiting.pending.digest,
        by=person.name if person is not None else by or login(),
        feedback=choice.feedback,
        via=VIA,
    )
    edit, given = choice.edit or "", dict[str, Any]()
    key = desk.settings.signing_key.get_secret_value()
    if person is not None and key:
        given["signature"] = signature_of(
            key, decision, workflow_id=asked.workflow_id, run_id=asked.run_id, edit=edit
        )
    if len(edit) > MAX_EDIT_CHARS:
        async with desk.database.statement() as connection:
            given["edit_id"] = await save_edit(connection, asked.request_id, edit)
    else:
        given["edit"] = edit
    return decision.model_copy(update=given)


async def _send(desk: Desk, waiting: Waiting, decision: Decision) -> TakenDecision:
    """Send a decision; one that the run refuses at once is written down here."""
    try:
        return await submit(desk.client, waiting, decision)
    except RefusedByRunError as error:
        if not error.written_down:
            async with desk.database.statement() as connection:
                await record_refusal(
                    connection,
                    waiting.pending.request_id,
                    verdict=decision.verdict,
                    by=decision.by,
                    verified=bool(decision.signature),
                    via=VIA,
                    reason=error.message,
                )
        raise


def _show(waiting: Waiting, asked: RequestRecord, *, as_json: bool) -> None:
    """Print what waits, and how to decide on exactly this."""
    pending = waiting.pending
    if as_json:
        facts = {**asked.model_dump(mode="json"), **pending.model_dump(mode="json")}
        print_json({"id": waiting.workflow_id, **facts, "content": content_of(asked)})
        return
    say(_readable(asked))
    until = datetime.fromtimestamp(pending.closes_at, UTC)
    note(f"{waiting.workflow_id} waits for {pending.sentence()} until {until:%Y-%m-%d %H:%M} UTC.")
    note(f"Asked by {asked.asked_by or 'nobody named'}. {asked.consequences}".rstrip())
    command = f"durable-agents decide {asked.request_id} --digest {pending.digest}"
    note(f'`{command} --approve`, or `--reject "what to change"`, or `--edit FILE`.')


def _readable(asked: RequestRecord) -> str:
    if asked.arguments is None:
        return asked.content
    return f"{asked.tool}\n{json.dumps(asked.arguments, indent=2, ensure_ascii=False)}"


def _show_beginning(waiting: Waiting, asked: RequestRecord) -> None:
    """Tell on standard error what is decided on."""
    content = _readable(asked)
    note(f"{waiting.workflow_id} waits for {waiting.pending.sentence()}:")
    note(content[:BEGINNING_CHARS], "")
    if len(content) > BEGINNING_CHARS:
        note(f"[the beginning of {len(content):,} characters]")


if __name__ == "__main__":
    main_of(decide)
