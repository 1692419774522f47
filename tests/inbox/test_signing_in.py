"""Signing in with a password or a link, where it leads, and the session that it begins."""

import pytest
from starlette.applications import Starlette

from durable_agents.db import access, people
from durable_agents.db.engine import Database
from durable_agents.db.sign_in import Limits
from durable_agents.models.people import Person
from tests.inbox.browsing import KEY, PASSWORD, SESSION, Browser, an_address, an_app, text_of
from tests.inbox.fake_store import FakeStore
from tests.inbox.noted import denied
from tests.workflows.runs import token


async def test_the_cookie_of_a_session_is_for_the_page_alone(
    app: Starlette, person: Person
) -> None:
    answer = await Browser(app).sign_in(person.name)

    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(SESSION)]
    assert answer.status_code == 303
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie
    assert "Secure" not in cookie  # on loopback there is no TLS


async def test_a_forged_or_foreign_cookie_signs_nobody_in(
    app: Starlette, database: Database, store: FakeStore, person: Person
) -> None:
    good, elsewhere = Browser(app), Browser(an_app(database, store, key=KEY[::-1]))
    await good.sign_in(person.name)
    await elsewhere.sign_in(person.name)
    cookie = good.cookie(SESSION)
    secret, *signature = cookie.split(".")
    forged = [
        secret,
        ".".join(["x" + secret, *signature]),
        cookie[:-1] + ("A" if cookie[-1] != "A" else "B"),
        elsewhere.cookie(SESSION),
        "",
        "é",
    ]

    for value in forged:
        bad = Browser(app)
        answer = await bad.http.get(
            "/", headers=[(b"cookie", f"{SESSION}={value}".encode("latin-1"))]
        )
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in"), value

    assert (await good.get("/")).status_code == 200


async def test_a_session_ends_when_its_epoch_does_when_it_is_over_and_on_signing_out(
    app: Starlette, database: Database
) -> None:
    async with database.statement() as connection:
        someone = await people.add_user(connection, f"e-{token().lower()}")
        await people.set_password(connection, someone.name, PASSWORD)
    raised, left = Browser(app), Browser(app)
    for one in (raised, left):
        await one.sign_in(someone.name)
    kept = left.cookie(SESSION)

    await left.send(await left.get("/"), "/sign-out")
    left.http.cookies.set(SESSION, kept, domain="127.0.0.1")  # a copy of it helps nobody
    after_sign_out = await left.get("/")
    before = await raised.get("/")
    async with database.statement() as connection:
        await people.set_disabled(connection, someone.name, disabled=False)
    after = await raised.get("/")
    part = await raised.http.get("/waiting", headers={"hx-request": "true"})

    assert before.url.path == "/"
    assert after.url.path == after_sign_out.url.path == "/sign-in"
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in")


async def test_wrong_passwords_are_limited_and_noted(
    database: Database, store: FakeStore, person: Person
) -> None:
    address = an_address()
    browser = Browser(an_app(database, store, limits=Limits(address=3)), address)

    answers = [await browser.sign_in(f"nobody-{n}", "wrong") for n in range(3)]
    over = await browser.sign_in(person.name)

    assert [one.status_code for one in answers] == [403] * 3
    assert "Name and password do not fit together" in text_of(answers[0])
    assert over.status_code == 429
    assert "Wait a quarter of an hour" in text_of(over)
    assert len(await denied(database, address)) == 4


async def test_a_wrong_password_comes_back_without_the_password(
    app: Starlette, person: Person
) -> None:
    answer = await Browser(app).sign_in(person.name, "a secret that is wrong")

    assert "a secret that is wrong" not in answer.text
    assert f'value="{person.name}"' in answer.text


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/requests/1@evil.example",
        "/requests/1\r\nset-cookie:a=b",
        "/link/abc",
        "/sign-out",
        "%2f",
    ],
)
async def test_signing_in_leads_to_pages_of_ours_only(
    app: Starlette, person: Person, target: str
) -> None:
    browser = Browser(app)
    page = await browser.get("/sign-in", params={"next": target})

    answer = await browser.send(page, next=target, name=person.name, password=PASSWORD)

    assert 'name="next" value="/"' in page.text
    assert answer.headers["location"] == "/"


async def test_signing_in_leads_to_where_somebody_wanted_to_go(
    app: Starlette, person: Person
) -> None:
    browser = Browser(app)
    page = await browser.get("/requests/1")

    answer = await browser.send(page, name=person.name, password=PASSWORD)

    assert answer.headers["location"] == "/requests/1"


async def test_a_link_from_a_mail_goes_on_by_itself_so_that_the_cookie_comes_along(
    app: Starlette,
) -> None:
    answer = await Browser(app).get("/requests/1", headers={"sec-fetch-site": "cross-site"})

    assert '<meta http-equiv="refresh" content="0;url=/requests/1">' in answer.text


async def test_a_link_lets_in_once_sets_the_password_and_is_not_noted_down(
    app: Starlette, database: Database
) -> None:
    address = an_address()
    first, second = Browser(app), Browser(app, address)
    async with database.statement() as connection:
        someone = await people.add_user(connection, f"l-{token().lower()}")
        secret = await access.create_link(connection, someone.user_id)
    page, looked = await first.get(f"/link/{secret}"), await second.get(f"/link/{secret}")

    short = await first.send(page, password="short", again="short")
    unlike = await first.send(page, password=PASSWORD, again="three quiet others")
    came = await first.send(page, password=PASSWORD, again=PASSWORD)
    late = await second.send(looked, password=PASSWORD + "!", again=PASSWORD + "!")

    assert [one.status_code for one in (short, unlike, came, late)] == [422, 422, 303, 404]
    assert "The two passwords are not the same" in text_of(unlike)
    assert (
        "Nothing waits" in text_of(await first.get("/")) or "Text 1" in (await first.get("/")).text
    )
    assert (await Browser(app).sign_in(someone.name)).status_code == 303
    assert [note.what for note in await denied(database, address)] == ["POST /link/…"]


async def test_a_link_can_be_used_without_choosing_a_password(
    app: Starlette, database: Database
) -> None:
    async with database.statement() as connection:
        someone = await people.add_user(connection, f"l-{token().lower()}")
        secret = await access.create_link(connection, someone.user_id)
    browser = Browser(app)

    came = await browser.send(await browser.get(f"/link/{secret}"), "how=once")

    assert came.status_code == 303
    assert (await browser.get("/")).url.path == "/"
    assert (await Browser(app).sign_in(someone.name)).status_code == 403
