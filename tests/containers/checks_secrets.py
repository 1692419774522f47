"""After all that the other checks have done, no secret is where others can read it."""

from tests.containers.stack import Stack, docker


async def test_secrets_are_in_no_layer_and_no_log(stack: Stack) -> None:
    layers = await docker("image", "history", "--no-trunc", "durable-agents-tried")
    within = await docker("image", "inspect", "durable-agents-tried")
    logs = await stack.must("logs", "--no-color")
    shown = await stack.must("config", "--no-interpolate")

    for told in (layers, within, logs, shown):
        assert told.text
        assert stack.password not in told.text
        assert stack.signing_key not in told.text
