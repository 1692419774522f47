"""Runs of `RoutingWorkflow` to record."""

from durable_agents.models.route import RoutingInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("route.sales", RoutingInput(message="What does the Business plan cost?", user_id="u-1")),
    Scene("route.unsure", RoutingInput(message="My monitor is broken.", threshold=1)),
    Scene("route.out_of_rounds", RoutingInput(message="What is the refund policy?", max_rounds=1)),
    Scene(
        "route.no_class",
        RoutingInput(message="Word k."),
        "Word k",
        ({"kind": "nonsense", "times": -1},),
    ),
    Scene("route.deadline", RoutingInput(message="Word l.", deadline_s=1), "Word l", (HANG,)),
    Scene(
        "route.cancelled",
        RoutingInput(message="Word m."),
        "Word m",
        (HANG,),
        cancel_in("classify"),
    ),
)
