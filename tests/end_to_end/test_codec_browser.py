"""The Temporal Web UI shows an operator what is encrypted, in a real Chromium."""

import os
import secrets
from pathlib import Path

import pytest
from pydantic import SecretStr

from durable_agents.models import queues
from durable_agents.models.weather_advice import WeatherAdviceInput
from durable_agents.runtime.connection import connect, run_url
from durable_agents.runtime.encryption import made_key
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands, folder_for_commands
from tests.end_to_end.chromium import chromium, new_reviewer, program, reviewer, served

pytestmark = pytest.mark.skipif(
    not (program() or os.environ.get("CI")), reason="needs Chromium: `apt-get install chromium`"
)
CITY = "Reykjavik"


async def test_the_web_ui_shows_an_operator_alone_what_is_encrypted(settings: Settings) -> None:
    keys = made_key("k1")
    sealing = await connect(settings.model_copy(update={"payload_keys": SecretStr(keys)}))
    handle = await sealing.start_workflow(
        "WeatherAdviceWorkflow",
        WeatherAdviceInput(city=CITY),
        id=f"sealed-{secrets.token_hex(4)}",
        task_queue=f"{queues.WORKFLOWS}-nobody",
    )
    page_of_run = run_url(settings, "default", handle.id, handle.first_execution_run_id or "")

    with folder_for_commands() as folder:
        command = Commands(settings, Path(folder), PAYLOAD_KEYS=keys)
        name, link = await new_reviewer(command)
        async with (
            served(command) as url,
            chromium() as browser,
            reviewer(browser, url, name) as person,
        ):
            page = person.page
            await person.come_in(link)
            await page.goto(settings.temporal_ui_url)
            await page.evaluate(
                """codec => {  // what the settings behind the UI's glasses write
                    localStorage.setItem('overrideRemoteCodecConfiguration', 'true');
                    localStorage.setItem('endpoint', JSON.stringify(codec));
                    localStorage.setItem('includeCredentials', 'true');
                }""",
                f"{url}/codec",
            )
            async with page.expect_response("**/codec/decode*") as refused:
                await page.goto(page_of_run)
            await command("users", "role", name, "--add", "operator")
            async with page.expect_response("**/codec/decode*") as answered:
                await page.reload()
            await page.get_by_text(CITY).first.wait_for()
    await handle.terminate()

    assert (await refused.value).status == 403
    assert (await answered.value).status == 200
