"""Who may have values decoded for the Temporal Web UI, from where, and what they get."""

import json
from typing import Any

import httpx2
import pytest
from google.protobuf import json_format
from starlette.applications import Starlette
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import DataConverter

from durable_agents.db import access, people
from durable_agents.db.engine import Database
from durable_agents.models.people import Person
from durable_agents.runtime.connection import converter_of
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.settings import Settings
from inbox import codec_pages
from inbox.app import create_app
from inbox.codec_pages import MOST_BYTES, origin_of
from inbox.site import Site
from tests.inbox.browsing import HOST, KEY, PASSWORD, URL, Browser
from tests.inbox.fake_store import FakeStore
from tests.workflows.runs import token

UI = "http://127.0.0.1:8233"
FOREIGN = "http://127.0.0.1:8234"
KEYS = made_key("k1")


@pytest.fixture
async def converter(settings: Settings, database: Database) -> DataConverter:
    keyed = Settings.model_validate({**settings.model_dump(), "payload_keys": KEYS})
    return converter_of(keyed, database=database)


@pytest.fixture
def app(database: Database, converter: DataConverter) -> Starlette:
    return create_app(
        site=Site(URL, frozenset({HOST})),
        database=database,
        store=FakeStore(),
        signing_key=KEY,
        run_url=lambda _workflow_id, _run_id: "",
        converter=converter,
        ui_url=f"{UI}/",
    )


@pytest.fixture
async def operator(database: Database) -> Person:
    async with database.statement() as connection:
        made = await people.add_user(connection, f"o-{token()}", roles=["operator"])
        return await people.set_password(connection, made.name, PASSWORD)


@pytest.fixture
async def browser(app: Starlette, operator: Person) -> Browser:
    opened = Browser(app)
    await opened.sign_in(operator.name)
    return opened


def body(*payloads: Payload) -> str:
    return json_format.MessageToJson(Payloads(payloads=payloads))


def payloads_in(answer: httpx2.Response) -> list[Payload]:
    return list(json_format.Parse(answer.text, Payloads()).payloads)


async def ask(browser: Browser, what: str, content: str, **headers: str) -> httpx2.Response:
    given = {"content-type": "application/json", "origin": UI, "x-namespace": "default"}
    kept = {name: value for name, value in {**given, **headers}.items() if value}
    return await browser.http.post(f"/codec/{what}", content=content, headers=kept)


async def test_the_web_ui_of_an_operator_reads_what_is_encrypted(
    browser: Browser, converter: DataConverter
) -> None:
    sealed = await converter.encode(["rosebud"])

    answer = await ask(browser, "decode?preserveStorageRefs=true", body(*sealed))

    assert [payload.data for payload in payloads_in(answer)] == [b'"rosebud"']
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "Origin"


async def test_what_the_web_ui_encodes_workers_read(
    browser: Browser, converter: DataConverter
) -> None:
    plain = Payload(metadata={"encoding": b"json/plain"}, data=b'"hello"')

    answer = await ask(browser, "encode", body(plain))

    assert b"hello" not in payloads_in(answer)[0].data
    assert await converter.decode(payloads_in(answer)) == ["hello"]


async def test_a_large_value_is_fetched_when_it_is_asked_for(
    browser: Browser, converter: DataConverter
) -> None:
    (reference,) = await converter.encode(["x" * 200_000])

    kept = await ask(browser, "decode?preserveStorageRefs=true", body(reference))
    whole = [await ask(browser, what, body(reference)) for what in ("download", "decode")]

    assert payloads_in(kept) == [reference]
    assert [len(payloads_in(one)[0].data) for one in whole] == [200_002, 200_002]


async def test_what_only_looks_like_a_reference_stays_as_it_is(
    browser: Browser, converter: DataConverter
) -> None:
    (broken,) = await converter.encode(["x" * 200_000])
    broken.data = b"no JSON"

    for what in ("decode", "decode?preserveStorageRefs=true", "download"):
        answer = await ask(browser, what, body(broken))

        assert (answer.status_code, payloads_in(answer)) == (200, [broken])


async def test_no_more_is_fetched_at_once_than_fits(
    browser: Browser, converter: DataConverter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_pages, "MOST_FETCHED", 250_000)
    (reference,) = await converter.encode(["x" * 200_000])

    answer = await ask(browser, "decode", body(reference, reference, reference))
    refused = await ask(browser, "download", body(reference, reference, reference))

    assert [len(one.data) for one in payloads_in(answer)[:2]] == [200_002, 200_002]
    assert payloads_in(answer)[2] == reference
    assert refused.status_code == 413


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://UI.example:80/some/path", "http://ui.example"),
        ("https://ui.example:443", "https://ui.example"),
        ("https://ui.example:8443", "https://ui.example:8443"),
        ("http://[::1]:8233/", "http://[::1]:8233"),
        ("", ""),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin


async def test_a_value_whose_key_is_gone_stays_beside_those_that_can_be_read(
    browser: Browser, converter: DataConverter, settings: Settings
) -> None:
    other = Settings.model_validate({**settings.model_dump(), "payload_keys": made_key("gone")})
    (lost,) = await converter_of(other).encode(["lost"])
    (sealed,) = await converter.encode(["found"])

    answer = await ask(browser, "decode", body(lost, sealed))

    assert payloads_in(answer) == [
        lost,
        Payload(metadata={"encoding": b"json/plain"}, data=b'"found"'),
    ]


async def test_before_it_asks_the_web_ui_is_told_that_it_may(browser: Browser) -> None:
    answer = await browser.http.options("/codec/decode", headers={"origin": UI})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == UI
    assert "x-namespace" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("origin", [FOREIGN, "http://localhost:8233", "null", f"{UI}.evil.example"])
async def test_another_page_gets_nothing(
    browser: Browser, converter: DataConverter, origin: str
) -> None:
    sealed = body(*await converter.encode(["rosebud"]))

    answer = await ask(browser, "decode", sealed, origin=origin)
    before = await browser.http.options("/codec/decode", headers={"origin": origin})

    assert (answer.status_code, before.status_code) == (403, 403)
    assert "access-control-allow-origin" not in {**answer.headers, **before.headers}
    assert "rosebud" not in answer.text


async def test_a_cookie_whose_browser_names_no_page_is_not_enough(browser: Browser) -> None:
    assert (await ask(browser, "decode", body(), origin="")).status_code == 401


async def test_who_is_not_signed_in_gets_nothing(app: Starlette) -> None:
    answer = await ask(Browser(app), "decode", body())

    assert answer.status_code == 401
    assert "Sign in" in answer.json()["message"]


async def test_a_reviewer_gets_nothing(app: Starlette, person: Person) -> None:
    browser = Browser(app)
    await browser.sign_in(person.name)

    answer = await ask(browser, "decode", body())

    assert answer.status_code == 403
    assert "needs the role operator" in answer.json()["message"]


async def test_a_token_of_an_operator_serves_the_command_line(
    app: Starlette, database: Database, operator: Person, converter: DataConverter
) -> None:
    async with database.statement() as connection:
        secret = await access.create_token(connection, operator.user_id)
    sealed = body(*await converter.encode(["rosebud"]))
    browser = Browser(app)

    answer = await ask(browser, "decode", sealed, origin="", authorization=f"Bearer {secret}")
    wrong = await ask(browser, "decode", sealed, origin="", authorization="Bearer da_wrong")

    assert [payload.data for payload in payloads_in(answer)] == [b'"rosebud"']
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        ("{", {}, 400),
        ('{"payloads": "no"}', {}, 400),
        ("[" * 5000, {}, 400),
        ("\udcff", {}, 400),
        ("{}", {"content-type": "text/plain"}, 415),
        (json.dumps({"payloads": [{"data": "A" * MOST_BYTES}]}), {}, 413),
    ],
    ids=["no JSON", "no list", "deep", "no UTF-8", "no JSON type", "too large"],
)
async def test_what_is_no_payloads_is_refused(
    browser: Browser, content: str, headers: dict[str, Any], status: int
) -> None:
    sent = content.encode("utf-8", "surrogateescape").decode("latin-1")

    answer = await ask(browser, "decode", sent, **headers)

    assert answer.status_code == status
    assert answer.json()["message"]
