"""Runs of `ExternalCallWorkflow` to record."""

from durable_agents.models.external_call import ExternalCallInput
from tests.histories.scene import DOWN, HANG, SIMULATOR, Scene, cancel_in

SCENES = (
    Scene(
        "external_call.fetched",
        ExternalCallInput(url=f"http://{SIMULATOR}/pages/hello.txt", user_id="u-1"),
    ),
    Scene(
        "external_call.tried_again",
        ExternalCallInput(url=f"http://{SIMULATOR}/v1/search?name=Worda", backoff=3),
        "name=Worda",
        ({**DOWN, "times": 1},),
    ),
    Scene("external_call.private_address", ExternalCallInput(url="http://10.0.0.1/")),
    Scene(
        "external_call.deadline",
        ExternalCallInput(url=f"http://{SIMULATOR}/v1/search?name=Wordb", deadline_s=1),
        "name=Wordb",
        ({**HANG, "route": "weather"},),
    ),
    Scene(
        "external_call.cancelled",
        ExternalCallInput(url=f"http://{SIMULATOR}/v1/search?name=Wordc"),
        "name=Wordc",
        ({**HANG, "route": "weather"},),
        cancel_in("fetch url"),
    ),
)
