"""Lets workflows say how they follow new versions of the workers, and run without versions, too.

A workflow class states it by `@workflow.defn(versioning_behavior=...)`. The SDK sends that with
each workflow task, and the server refuses it from a worker that has no version. So it is taken
out of what such a worker runs.
"""

from dataclasses import replace
from typing import Any

from temporalio.common import VersioningBehavior
from temporalio.plugin import SimplePlugin
from temporalio.worker import UnsandboxedWorkflowRunner, WorkerConfig, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner


class UnversionedRunner(UnsandboxedWorkflowRunner):
    """Runs workflows without what they state for workers that have a version."""

    def create_instance(self, det: Any) -> Any:
        """Make the instance of a run; inside the sandbox, where there is one."""
        defn = replace(det.defn, versioning_behavior=VersioningBehavior.UNSPECIFIED)
        return super().create_instance(replace(det, defn=defn))


class MaybeVersioned(SimplePlugin):
    """A plugin under which workers with a version and without one run the same workflows."""

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Fit the runners to whether the worker has a version."""
        config = super().configure_worker(config)
        has_one = "deployment_config" in config
        deployment = config["deployment_config"] if has_one else None
        if "workflow_runner" in config and not (deployment and deployment.use_worker_versioning):
            config["workflow_runner"] = _without_versions(config["workflow_runner"])
            config["unsandboxed_workflow_runner"] = UnversionedRunner()
        return config


def _without_versions(runner: WorkflowRunner) -> WorkflowRunner:
    """The runner that a worker without a version gets instead of this one."""
    if isinstance(runner, SandboxedWorkflowRunner):
        restrictions = runner.restrictions.with_passthrough_modules(__name__)
        return replace(runner, runner_class=UnversionedRunner, restrictions=restrictions)
    return UnversionedRunner() if type(runner) is UnsandboxedWorkflowRunner else runner
