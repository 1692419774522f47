"""What the containers promise, from outside: they come up healthy and small, and work."""

import json
from pathlib import Path

import httpx2

from tests.commanding import PROJECT, Commands, folder_for_commands
from tests.containers.stack import SERVICES, WORKERS, Stack, docker, page, report
from tests.containers.working import until
from tests.runtime import s3_service

MOST_BYTES = 200_000_000
KEY_OF_S3 = ("-e", "AWS_ACCESS_KEY_ID=any", "-e", "AWS_SECRET_ACCESS_KEY=any")
S3_SERVICE = Path(s3_service.__file__).read_text(encoding="utf-8")
USES_S3 = """
async def main():
    from durable_agents.runtime.s3_client import LazyS3Client
    async with s3_service() as service:
        client = LazyS3Client(service.url)
        await client.put_object(bucket="kept", key="a", data=b"x" * 300_000)
        data = await client.get_object(bucket="kept", key="a")
    print(len(data))
asyncio.run(main())
"""


async def test_they_come_up_healthy_and_small(stack: Stack) -> None:
    image = SERVICES["worker"]["build"]["args"]["PYTHON_IMAGE"].partition(":-")[2].strip("}")

    sizes = [
        int((await docker("image", "inspect", "--format", "{{.Size}}", name)).text)
        for name in ("durable-agents-tried", image)
    ]

    ours = sizes[0] - sizes[1]
    report(f"healthy after {stack.seconds_to_healthy:.0f} s; {ours / 1e6:.1f} MB over {image}")
    assert ours < MOST_BYTES


async def test_every_page_answers_from_outside(stack: Stack) -> None:
    for port in stack.worker_ports:
        assert (await page(port, "/healthz")).json()["ready"] is True
        assert "temporal_worker_task_slots_available" in (await page(port, "/metrics")).text
    assert (await page(stack.ports["INBOX_PORT"], "/healthz")).status_code == 200
    assert "<html" in (await page(stack.ports["INBOX_PORT"], "/sign-in")).text
    assert (await page(stack.ports["TEMPORAL_UI_PORT"], "/")).status_code == 200


async def test_commands_work_from_outside_and_within(stack: Stack) -> None:
    with folder_for_commands() as folder:
        outside = Commands(None, Path(folder), TEMPORAL_ADDRESS=stack.temporal)
        ended = await outside("react", "What is 12.5 % of 2480?", "--json")
    within = await stack.compose("exec", "-T", "worker", "durable-agents", "doctor")

    assert ended.code == 0, ended.err
    assert "310" in ended.json["answer"]
    assert within.code == 0, within.text


async def test_the_image_has_no_rights_to_lose_and_can_do_what_is_optional(stack: Stack) -> None:
    optional = "import stripe, alembic, apprise; print(apprise.Apprise().add('json://localhost'))"
    once = ("run", "--rm", "-T", "--no-deps", *KEY_OF_S3, "worker")

    s3 = await stack.must(*once, "python", "-", stdin=S3_SERVICE + USES_S3)
    others = await stack.must(*once, "python", "-c", optional)
    written = await stack.compose(*once, "sh", "-c", "id -u; touch /app/x")

    assert s3.lines[-1] == "300000"
    assert others.lines[-1] == "True"
    assert "10001" in written.text
    assert "Read-only file system" in written.text


async def test_no_container_has_the_machine_to_itself(stack: Stack) -> None:
    asked = "{{.HostConfig.Memory}} {{.HostConfig.LogConfig.Config}} {{.Config.StopTimeout}}"

    for service in ("temporal", "postgres", "simulator", "worker", "inbox"):
        for one in await stack.containers(service):
            told = (await docker("inspect", "--format", asked, one)).text.strip()
            memory, _, rest = told.partition(" ")
            assert int(memory) >= 512 * 1024**2, service
            assert rest.startswith("map[max-file:3 max-size:10m] "), service
            assert service != "worker" or rest.endswith(" 30")


async def test_all_profiles_together_are_a_valid_configuration(stack: Stack) -> None:
    said = await stack.must("--profile", "*", "config", "--services")

    assert set(said.lines) == set(SERVICES)
    assert (PROJECT / "deploy/observability/alerts.yml").exists()


async def test_prometheus_asks_every_worker(stack: Stack) -> None:
    service = ("up", "--detach", "--wait", "--no-deps", "prometheus")
    await stack.must("--profile", "observability", *service)
    port = stack.ports["PROMETHEUS_PORT"]

    async def all_are_up() -> bool:
        try:
            answer = await page(port, "/api/v1/query?query=up%7Bjob%3D%22durable-agents%22%7D")
            found = json.loads(answer.text)["data"]["result"]
        except (httpx2.HTTPError, ValueError, KeyError):  # it starts
            return False
        return [one["value"][1] for one in found] == ["1"] * WORKERS

    await until(all_are_up, f"Prometheus asks {WORKERS} workers")
    await stack.must("--profile", "observability", "rm", "--force", "--stop", "prometheus")
