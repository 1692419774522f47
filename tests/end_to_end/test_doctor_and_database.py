"""`doctor` and `db`: every part well, parts that ail, and doing it twice."""

from pathlib import Path

import pytest
from sqlalchemy import text

from durable_agents.agent.quotas import draw_of_calls, draw_of_tokens
from durable_agents.db.engine import Database
from durable_agents.db.quotas import settle, take_turn
from durable_agents.runtime.settings import Settings
from tests.commanding import Commands


async def test_doctor_finds_every_part_well(command: Commands, service: object) -> None:
    ended = await command("doctor")

    lines = ended.out.splitlines()
    assert ended.code == 0, ended.out
    assert [line.split(":")[0].removeprefix("ok").strip() for line in lines] == [
        "Python",
        "Database",
        "Notifications",
        "Model",
        "Embeddings",
        "Temporal",
        "Search attributes",
        "Workers",
        "Refunds",
    ]
    assert "a stand-in" in ended.out
    assert "Embeddings: simulator-embedding-1, 256 dimensions" in ended.out


async def test_doctor_tells_of_a_knowledge_base_without_an_embedding_model(
    command: Commands, service: object, settings: Settings
) -> None:
    ended = await command(
        "doctor", SIMULATOR="off", OPENAI_BASE_URL=settings.openai_base_url, OPENAI_API_KEY="any"
    )

    assert "ok      Embeddings: no model is named (OPENAI_EMBEDDING_MODEL): " in ended.out


async def test_doctor_tells_each_quota_with_what_is_left_and_who_asks_to_wait(
    command: Commands, service: object, database: Database
) -> None:
    used = [draw_of_calls("doctored", 0.01, 3), draw_of_tokens("a-model", 600, 10)]
    async with database.statement() as connection:
        await take_turn(connection, used, 5)
        await settle(connection, used[1], 10, 250)

    ended = await command(
        "doctor",
        "--quick",
        QUOTAS="default=4,doctored=0.01",
        MODEL_TOKENS_PER_MINUTE="a-model=600",
    )

    async with database.statement() as connection:
        await connection.execute(text("DELETE FROM quotas"))
    assert "Quota calls/default: 4 calls a second, 2.0 of 2 at once left" in ended.out
    assert "Quota calls/doctored: 0.01 calls a second, used up for " in ended.out
    assert "Quota model/a-model: 600 tokens a minute, 60.0 of 60 at once left; " in ended.out
    assert ended.out.count("the provider of a-model asks to wait 2") == 3
    assert "nobody works on durable-agents-llm-doctored" in ended.out


async def test_doctor_says_what_to_do_about_every_part_that_ails(unattended: Commands) -> None:
    nobody = await unattended("doctor", "--quick")
    nothing = await unattended(
        "doctor",
        TEMPORAL_ADDRESS="127.0.0.1:1",
        DATABASE_URL="postgresql://nobody@127.0.0.1:1/none",
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
    )

    assert nobody.code == nothing.code == 2
    assert "ailing  Workers: nobody works on durable-agents, " in nobody.out
    assert nothing.out.count("ailing") == 4
    assert "The database does not answer: " in nothing.out
    assert "The model at http://127.0.0.1:1/v1 cannot be reached" in nothing.out
    assert "The Temporal server at 127.0.0.1:1 does not answer" in nothing.out


async def test_the_database_is_brought_up_to_date_and_filled_as_often_as_one_likes(
    command: Commands,
) -> None:
    samples = str(Path(__file__).parent.parent.parent / "examples")

    twice = [await command("db", "upgrade") for _ in range(2)]
    seeded = [await command("db", "seed", "--folder", samples) for _ in range(2)]

    assert [ended.code for ended in (*twice, *seeded)] == [0] * 4
    assert twice[1].out.startswith("Up to date at ")
    assert seeded[0].out == seeded[1].out


@pytest.mark.parametrize(
    ("args", "url", "said"),
    [
        (("upgrade",), "", "No database is named. "),
        (("upgrade",), "postgresql://nobody@127.0.0.1:1/none", "The database does not answer: "),
        (("seed",), "mysql://nobody@127.0.0.1/none", "DATABASE_URL names mysql, but only"),
        (("seed",), "::::", "DATABASE_URL cannot be read: "),
        (("seed",), "postgresql://me:p@ss@127.0.0.1/x", "DATABASE_URL cannot be read: it has more"),
    ],
)
async def test_a_database_that_is_not_there_is_one_sentence(
    alone: Commands, args: tuple[str, ...], url: str, said: str
) -> None:
    ended = await alone("db", *args, DATABASE_URL=url)

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentence.startswith(said)


async def test_sample_data_that_is_not_there_is_one_sentence(command: Commands) -> None:
    ended = await command("db", "seed", "--folder", "nowhere")

    assert ended.code == 2
    assert "nowhere" in ended.sentence
