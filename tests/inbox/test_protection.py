"""What the page refuses: foreign names, foreign forms and requests; and that it is noted."""

import httpx2
import pytest
from starlette.applications import Starlette

from durable_agents.db.denials import list_denials
from durable_agents.db.engine import Database
from durable_agents.models.people import Person
from inbox.denial_log import DenialLog
from inbox.forms import MOST_BYTES
from tests.inbox.browsing import PASSWORD, SESSION, URL, Browser, an_address, an_app, text_of
from tests.inbox.fake_store import FakeStore, a_request
from tests.inbox.noted import denied


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9999", "127.0.0.1", "", "LOCALHOST"])
async def test_a_foreign_host_is_refused_and_noted(
    app: Starlette, database: Database, host: str
) -> None:
    address = an_address()

    answer = await Browser(app, address).get("/sign-in", headers={"host": host})

    assert answer.status_code == 421
    assert "<form" not in answer.text
    (note,) = await denied(database, address)
    assert host in note.why


@pytest.mark.parametrize("path", ["/link/{}", "/link/{}/", "/x/link/{}"])
async def test_a_link_that_is_opened_under_a_foreign_name_is_not_noted_down(
    app: Starlette, database: Database, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    address, secret = an_address(), "a-secret-that-lets-somebody-in"

    await Browser(app, address).get(path.format(secret), headers={"host": "machine:8232"})

    (note,) = await denied(database, address)
    assert "link" in note.what
    assert secret not in note.what + note.why + caplog.text


async def test_every_answer_carries_the_headers_that_protect_it(browser: Browser) -> None:
    for path in ("/", "/requests/1", "/nothing", "/healthz", "/static/style.css"):
        answer = await browser.get(path)

        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert (await browser.get("/")).headers["cache-control"] == "no-store"


async def test_an_answer_to_a_mistake_of_ours_carries_them_too_and_says_nothing_of_it(
    app: Starlette, browser: Browser, store: FakeStore
) -> None:
    store.requests[1] = a_request(1).model_copy(update={"created_at": "no moment"})
    kept = httpx2.ASGITransport(app, raise_app_exceptions=False, client=(an_address(), 4000))
    async with httpx2.AsyncClient(
        transport=kept, base_url=URL, cookies=browser.http.cookies
    ) as visitor:
        answer = await visitor.get("/requests/1")

    assert answer.status_code == 500
    assert answer.text.startswith("Something went wrong here")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


async def test_while_the_database_is_away_no_page_is_broken(
    browser: Browser, store: FakeStore, person: Person
) -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:9/nothing")
    away = Browser(an_app(nowhere, store))
    away.http.cookies.update(browser.http.cookies)

    answers = [await away.get(path) for path in ("/", "/nothing", "/requests/1")]
    healthy = await away.get("/healthz")
    await nowhere.close()

    assert [one.status_code for one in answers] == [503] * 3
    assert all("cannot reach its database" in one.text for one in answers)
    assert healthy.status_code == 200


async def test_no_page_needs_a_script_or_a_style_of_its_own(browser: Browser) -> None:
    for path in ("/", "/requests/1", "/history", "/sign-in", "/nothing"):
        page = (await browser.get(path)).text

        assert " style=" not in page
        assert "<style" not in page
        assert " onclick=" not in page
        assert page.count("<script") == page.count("<script src=")


@pytest.mark.parametrize("page", ["/requests/1", "/sign-in"])
async def test_a_form_without_its_token_or_with_that_of_another_does_nothing(
    app: Starlette, store: FakeStore, person: Person, database: Database, page: str
) -> None:
    address = an_address()
    visitor, other = Browser(app, address), Browser(app)
    for one in (visitor, other):
        if page != "/sign-in":
            await one.sign_in(person.name)
    seen, foreign = await visitor.get(page), await other.get(page)
    token_of_other = foreign.text.split('name="csrf" value="')[1].split('"')[0]
    typed = {"name": person.name, "password": PASSWORD} if page == "/sign-in" else {}

    without = await visitor.send(seen, drop="csrf", **typed)
    wrong = await visitor.send(seen, csrf=token_of_other, **typed)
    unicode = await visitor.send(seen, csrf="é\x00", **typed)

    assert [one.status_code for one in (without, wrong, unicode)] == [403] * 3
    assert "This form was not made by this page for you" in text_of(without)
    assert store.made == []
    assert SESSION not in "".join(without.headers.get_list("set-cookie"))
    assert [note.why for note in await denied(database, address)] == ["form without our token"] * 3


async def test_the_token_of_a_session_before_is_worth_nothing(
    app: Starlette, person: Person, store: FakeStore
) -> None:
    browser = Browser(app)
    await browser.sign_in(person.name)
    before = await browser.get("/requests/1")
    browser.http.cookies.clear()
    await browser.sign_in(person.name)

    answer = await browser.send(before, "verdict=approve")

    assert answer.status_code == 403
    assert store.made == []


async def test_a_megabyte_of_feedback_is_refused_in_a_sentence(
    browser: Browser, store: FakeStore
) -> None:
    page = await browser.get("/requests/1")

    much = await browser.send(page, "verdict=reject", feedback="x" * 1_000_000)
    less = await browser.send(page, "verdict=reject", feedback="x" * 10_001)

    assert (much.status_code, less.status_code) == (413, 422)
    assert f"at most {MOST_BYTES // 1024} KB fit into a decision" in text_of(much)
    assert "Keep your words under 10,000 characters" in text_of(less)
    assert store.made == []


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"verdict": "approve"}', "application/json", 415),
        (b"a=1&" * 500, "application/x-www-form-urlencoded", 400),
        (b"\xff\xfe%zz", "application/x-www-form-urlencoded", 403),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
)
async def test_what_is_no_form_of_ours_does_nothing(
    browser: Browser, store: FakeStore, body: bytes, kind: str, status: int
) -> None:
    answer = await browser.http.post(
        "/requests/1/decide", content=body, headers={"content-type": kind}
    )

    assert answer.status_code == status
    assert store.made == []


async def test_nobody_decides_without_signing_in(
    app: Starlette, browser: Browser, store: FakeStore, database: Database
) -> None:
    address = an_address()
    page = await browser.get("/requests/1")

    answer = await Browser(app, address).send(page, "verdict=approve")

    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert store.made == []
    (note,) = await denied(database, address)
    assert (note.what, note.why) == ("POST /requests/1/decide", "not signed in")


async def test_the_request_of_somebody_else_is_not_there(
    browser: Browser, store: FakeStore, person: Person, database: Database
) -> None:
    theirs = await browser.get("/requests/2")
    page = await browser.get("/requests/1")
    form = page.text.replace("/requests/1/decide", "/requests/2/decide")
    sent = await browser.send(type(page)(200, text=form, request=page.request), "verdict=approve")

    assert theirs.status_code == sent.status_code == 404
    assert "Text 2" not in theirs.text
    assert store.made == []
    async with database.statement() as connection:
        notes = [n for n in await list_denials(connection, limit=9) if n.who == person.name]
    assert [note.what for note in notes[:2]] == ["POST /requests/2/decide", "GET /requests/2"]


@pytest.mark.parametrize(
    "path",
    [
        "/requests/99999999999999999999",
        f"/requests/{'9' * 5000}",
        "/requests/٣",
        "/requests/1.5",
        "/requests/0",
        "/x",
        "/static/x",
    ],
)
async def test_what_is_not_there_is_said_so(browser: Browser, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_denials_cannot_fill_the_database(database: Database) -> None:
    log, address = DenialLog(database, rows_a_minute=2), an_address()

    for _ in range(5):
        await log.add(who="x\x00" * 500, what="w", why="y", address=address)

    assert 2 <= len(await denied(database, address)) <= 4  # a minute may have begun
