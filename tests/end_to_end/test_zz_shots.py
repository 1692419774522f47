import secrets

from tests.end_to_end.chromium import chromium, reviewer, served
from tests.end_to_end.test_inbox_browser import PHONE


async def test_shots(command, service):
    await command("users", "add", "ingrid", "--role", "editor", "--shown-name", "Ingrid Solberg")
    link = (await command("users", "link", "ingrid")).out.strip()
    link = link[link.index("/link/") :]
    await command("users", "add", "marta")
    token = (await command("users", "token", "marta")).out.strip()

    async def start(command, *given):
        ended = await command(
            *given, "--no-wait", "--id", "run-" + secrets.token_hex(5), DURABLE_AGENTS_TOKEN=token
        )
        assert ended.code == 0, ended.err

    await start(command, "review", "task-5", "--reviewer", "ingrid")
    for t in ("task-3", "task-4"):
        await start(
            command,
            "review",
            t,
            "--reviewer",
            "ingrid",
            "--decision-deadline",
            "2400" if t == "task-3" else "86400",
        )
    await start(
        command,
        "react",
        "file a ticket for account A-1001: printer is on fire",
        "--reviewer",
        "ingrid",
        "--four-eyes",
    )
    async with chromium() as b, served(command) as url:
        async with reviewer(
            b, url, "ingrid", viewport={"width": 1100, "height": 760}, color_scheme="light"
        ) as one:
            await one.come_in(link)
            await one.page.locator(".row").nth(3).wait_for()
            await one.page.locator(".row", has_text="Text").last.click()
            await one.page.get_by_role("link", name="All that waits").wait_for()
            await one.reject("Shorter, and say by when.")
            await one.is_told("rejected")
            await one.page.get_by_role("link", name="To what else waits").click()
            await one.page.locator(".row", has_text="Revision 2").wait_for()
            await one.page.mouse.move(0, 0)
            await one.page.screenshot(path="docs/images/inbox-list.png")
            await one.open_request("Revision 2")
            await one.page.screenshot(path="docs/images/inbox-request.png")
        async with reviewer(b, url, "ingrid", color_scheme="dark", **PHONE) as one:
            await one.sign_in()
            await one.open_request("file_ticket")
            await one.page.screenshot(path="docs/images/inbox-phone.png")
