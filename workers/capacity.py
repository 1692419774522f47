"""How much the worker of a role takes on at once: its slots, and the polls that fill them.

A slot that follows resources is given out while the share of processor and memory in use stays
below its target. The SDK's core looks at the container when the cgroup at `/sys/fs/cgroup` has a
limit, else at the whole machine, never at the process alone
(https://github.com/temporalio/sdk-rust, crates/sdk-core/src/worker/tuner/resource_based.rs): so
processes side by side need no shares, and what else runs there counts, too. Each worker of a
process decides for itself.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from temporalio.worker import (
    FixedSizeSlotSupplier,
    PollerBehavior,
    PollerBehaviorAutoscaling,
    PollerBehaviorSimpleMaximum,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    WorkerTuner,
)

from durable_agents.runtime.settings import Settings

TARGET_CPU = 0.9
TARGET_MEMORY = 0.8  # what the SDK's documentation calls the most that is safe
LEAST_SLOTS = 5  # are given out whatever is in use, so that work goes on, and waits overlap
LOCAL_SLOTS = 100  # short work of a run that is under way: to hold it back would free nothing
RAMP = timedelta(milliseconds=10)
"""Between two slots for activities, once the least are in use.

The core looks at the machine every 100 ms; ours mostly wait for others, so that ten more between
two looks do no harm, where its own 50 ms would allow no more than 20 activities a second.
"""


@dataclass(frozen=True)
class Capacity:
    """What one worker takes on; `threads` run its workflow tasks, one in each slot.

    Activities need no threads: all of ours are coroutines.
    """

    tuner: WorkerTuner
    pollers: PollerBehavior
    threads: ThreadPoolExecutor


def capacity_of(settings: Settings) -> Capacity:
    """What the settings let each worker of this process take on."""
    threads = ThreadPoolExecutor(settings.worker_workflow_slots, "workflow-task")
    return Capacity(_tuner(settings), _pollers(settings), threads)


def _tuner(settings: Settings) -> WorkerTuner:
    workflows, activities = settings.worker_workflow_slots, settings.worker_activity_slots
    if settings.worker_slots == "fixed":
        return WorkerTuner.create_fixed(workflow_slots=workflows, activity_slots=activities)
    targets = ResourceBasedTunerConfig(
        target_memory_usage=settings.worker_target_memory or TARGET_MEMORY,
        target_cpu_usage=settings.worker_target_cpu or TARGET_CPU,
    )
    return WorkerTuner.create_composite(
        workflow_supplier=_at_most(workflows, timedelta(0), targets),
        activity_supplier=_at_most(activities, RAMP, targets),
        local_activity_supplier=FixedSizeSlotSupplier(LOCAL_SLOTS),
        nexus_supplier=FixedSizeSlotSupplier(1),
    )


def _at_most(
    slots: int, ramp: timedelta, targets: ResourceBasedTunerConfig
) -> ResourceBasedSlotSupplier:
    config = ResourceBasedSlotConfig(min(LEAST_SLOTS, slots), slots, ramp)
    return ResourceBasedSlotSupplier(config, targets)


def _pollers(settings: Settings) -> PollerBehavior:
    if settings.worker_pollers == "auto":
        return PollerBehaviorAutoscaling()
    return PollerBehaviorSimpleMaximum(settings.worker_pollers)
