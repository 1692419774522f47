"""Secrets do not come out: not in logs, not in errors, not in histories, not in the database."""

import io
import logging
import secrets
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from durable_agents.db.engine import Database
from durable_agents.db.error_log import list_errors, log_error
from durable_agents.models.conversation import LoggedError
from durable_agents.models.errors import ServiceUnavailableError
from durable_agents.models.tracked import TaskFacts
from durable_agents.runtime import logs
from durable_agents.runtime.activity_interceptor import as_application_error
from durable_agents.runtime.converter import DATA_CONVERTER
from durable_agents.runtime.settings import Settings
from durable_agents.telemetry.redaction import REDACTED, SECRETS, SecretFilter
from tests.steering import Simulator
from tests.workflows import runs

PAYLOAD_KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMw=="
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA7abc+/\nQ2hhbmdlZA==\n"
    "-----END RSA PRIVATE KEY-----"
)
KEYS = {
    "OpenAI": "sk-proj-Ab3-dEf_ghIJklmnop0123456789",
    "Anthropic": "sk-ant-api03-AbCdEfGhIjKlMnOp1234567890",
    "DeepSeek": "sk-0123456789abcdef0123456789abcdef",
    "Stripe": "sk_live_51AbCdEfGhIjKlMn",
    "a webhook": "whsec_AbCdEfGhIjKlMnOpQr12",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "GitHub": "ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "GitLab": "glpat-AbCdEfGhIjKlMnOpQrSt",
    "Hugging Face": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "Slack": "xoxb-123456789012-AbCdEfGhIj",
    "Google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "a token of ours": f"da_{'Ab1-' * 11}",
    "a private key": PEM,
}
KEPT = text(
    "SELECT count(*) FROM messages WHERE strpos(content, :half || :rest) > 0"
    " OR strpos(tool_calls::text, :half || :rest) > 0"
)
WORDS = [
    "task-1234 desk-abcdefghijklmnopqrstuvwxyz risk-averse",
    "the bearer of responsibilities, basic understanding",
    "max_tokens=123456, input_tokens=1, key=value, token economics: 12",
    "https://bucket.test/x?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F2026",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301 sha256:9f86d081884c7d659a2feaa0c55ad015",
    "-----BEGIN PRIVATE KEY----- is how such a file begins",
    '{"thread": 12, "digest": "0a1b2c3d4e5f"}',
    "a simulator with a password: run `durable-agents up`",
]


@pytest.fixture
def known() -> Iterator[str]:
    """A secret of this process: what its settings named."""
    secret = f"hunter-{secrets.token_hex(8)}"
    SECRETS.keep([secret])
    yield secret
    SECRETS.forget()


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_is_known_by_its_form(key: str) -> None:
    told = f"The server says: {key}, which is not valid."

    assert SecretFilter().redact(told) == f"The server says: {REDACTED}, which is not valid."


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_what_is_stored_keeps_its_length_and_json_stays_json(key: str) -> None:
    written = TaskFacts(task_id="1", title=key, user_id="u").model_dump_json()

    stored = SecretFilter().redact_stored(written)

    assert len(stored) == len(written)
    assert key[:30] not in stored
    assert TaskFacts.model_validate_json(stored).task_id == "1"


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ("postgresql://app:s3cret@db/x", "postgresql://app:[redacted]@db/x"),
        ("https://a.test/?api_key=abcdef&q=1", "https://a.test/?api_key=[redacted]&q=1"),
        ("password=opensesame host=db", "password=[redacted] host=db"),
        ('{"password": "opensesame"}', '{"password": "[redacted]"}'),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]"),
        ("Authorization: Bearer abc.def1234567890xyz", "Authorization: Bearer [redacted]"),
        ("Authorization: abcdef123456", "Authorization: [redacted]"),
        ("X-Api-Key: abcdef123456", "X-Api-Key: [redacted]"),
        ("Cookie: a=1; session=abcdef", "Cookie: [redacted]"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': '[redacted]'}"),
        ("[(b'Authorization', b'Basic dXNl')]", "[(b'Authorization', b'[redacted]')]"),
        ("/cb?next=https://a.test/?api_key=abcdef", "/cb?next=https://a.test/?api_key=[redacted]"),
        ("PGPASSWORD=opensesame psql", "PGPASSWORD=[redacted] psql"),
        ("connect(password='open sesame')", "connect(password='[redacted]')"),
        ("""{'password': "it's sesame"}""", """{'password': "[redacted]"}"""),
        (r'{"password": "open\"sesame"}', '{"password": "[redacted]"}'),
        (r'"{\"password\": \"opensesame\"}"', r'"{\"password\": \"[redacted]\"}"'),
        ("postgresql://app:s3c@ret@db/x", "postgresql://app:[redacted]@db/x"),
        ("aws_secret_access_key=" + "a1B2" * 10, "aws_secret_access_key=[redacted]"),
    ],
)
def test_what_is_named_as_a_secret_is_one_in_logs_and_errors(told: str, left: str) -> None:
    assert SecretFilter().redact(told) == left


@pytest.mark.parametrize("words", WORDS)
def test_other_text_stays_as_it_is(words: str) -> None:
    known = SecretFilter()
    known.keep(["simulator", "short1", "durable-agents"])  # words are not looked for

    assert known.redact(words) == known.redact_stored(words) == words


@pytest.mark.parametrize(
    "hostile",
    [
        "sk-" * 30_000,
        "sk-1-" * 20_000,
        f"sk-{'a' * 24}-" * 4000,
        "eyJ" * 30_000,
        "eyJaaaaaaaaa." * 8000,
        "-----BEGIN PRIVATE KEY-----" * 4000,
        "password" * 12_000,
        "password" + " " * 100_000,
        'password="' + "\\" * 100_000,
        "://:" * 25_000,
        "authorization: " * 7000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long_to_look_through(hostile: str) -> None:
    began = time.process_time()
    SecretFilter().redact(hostile)
    SecretFilter().redact_stored(hostile)

    assert time.process_time() - began < 1  # where time grew with the square it took 10 s and more


def test_the_secrets_of_the_settings_are_known_once_they_are_read() -> None:
    environ = {
        "OPENAI_API_KEY": "local-key-77",
        "DATABASE_URL": "postgresql://app:p%40ss-word-9@db/x",
        "NOTIFY_URLS": "slack://T1JJ3T3L2-A1BRTD4JD-TIiajkdnlazkcOXrIdevi7FQ/#general",
        "SIGNING_KEY": "0123456789abcdef" * 4,
        "TEMPORAL_API_KEY": "temporal-key-5",
        "AWS_SECRET_ACCESS_KEY": "aws/Secret+Key/1",
        "PAYLOAD_KEYS": f"2026-11:{PAYLOAD_KEY}",
    }
    told = (
        "local-key-77 p%40ss-word-9 p@ss-word-9 T1JJ3T3L2-A1BRTD4JD-TIiajkdnlazkcOXrIdevi7FQ "
        f"{environ['SIGNING_KEY']} temporal-key-5 {PAYLOAD_KEY} aws/Secret+Key/1"
    )

    try:
        Settings.load(environ, dotenv=None, use_run_file=False)
        redacted = SECRETS.redact(told)
    finally:
        SECRETS.forget()

    assert redacted == " ".join([REDACTED] * 8)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_line_holds_none_nor_does_its_traceback(form: str, known: str) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(level="INFO", form=form, stream=stream)
    try:
        try:
            raise RuntimeError(f"no entry with {known}")
        except RuntimeError:
            logging.getLogger("test").warning("Refused %s", KEYS["OpenAI"], exc_info=True)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)

    line = stream.getvalue()
    assert known not in line
    assert KEYS["OpenAI"] not in line
    assert line.count(REDACTED) >= 2


async def test_a_failure_in_a_history_holds_none_nor_do_its_causes(known: str) -> None:
    inner = ServiceUnavailableError(f"https://u:{known}@host.test/ does not answer.")
    error = ApplicationError(f"Failed with {KEYS['Stripe']}", {"detail": known})
    error.__cause__ = as_application_error(inner)

    failure = Failure()
    await DATA_CONVERTER.encode_failure(error, failure)

    written = str(failure)
    assert known not in written
    assert KEYS["Stripe"] not in written
    assert failure.cause.message == f"https://u:{REDACTED}@host.test/ does not answer."


async def test_a_payload_holds_none_and_reads_as_before(known: str) -> None:
    facts = TaskFacts(task_id="1", title=f"use {known} ok", user_id="u")

    (payload,) = await DATA_CONVERTER.encode([facts])
    (read,) = await DATA_CONVERTER.decode([payload], [TaskFacts])

    assert known.encode() not in payload.data
    assert read.task_id == "1"
    assert len(read.title) == len(facts.title)


async def test_the_database_holds_none_whoever_writes(database: Database, known: str) -> None:
    run = f"run-{secrets.token_hex(4)}"
    error = LoggedError(type="T", message=f"{known} and {KEYS['GitHub']} do not open it")

    async with database.statement() as connection:
        await log_error(connection, workflow_id=run, run_id=run, step="s", error=error)
        found = await list_errors(connection, workflow_id=run)

    assert known not in found[0].message
    assert KEYS["GitHub"] not in found[0].message
    assert "do not open it" in found[0].message


@pytest.mark.usefixtures("worker")
async def test_a_key_that_a_person_or_a_model_writes_is_in_no_history_and_no_table(
    client: Client, database: Database, simulator: Simulator
) -> None:
    word, key = runs.token(), KEYS["OpenAI"]
    call = f'OBEY CALL calculate {{"expression": "1 + 1", "note": "{key}"}}'

    async with simulator.faults(word, {"kind": "obey"}):
        handle = await runs.start_react(client, f"{word} my key is {key}\n{call}")
        await runs.result_of(handle)

    history = str(await runs.events_of(handle))
    async with database.statement() as connection:
        halves = {"half": key[:20], "rest": key[20:]}  # a whole one would be redacted on its way
        found = await connection.scalar(KEPT, halves)
    assert found == 0
    assert word in history
    assert key not in history
    assert key not in str(await simulator.calls(word))


def test_the_filter_is_that_of_every_client_and_worker() -> None:
    assert (
        DATA_CONVERTER.failure_converter_class is not DataConverter.default.failure_converter_class
    )
