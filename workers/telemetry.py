"""What a worker process tells about itself: the core's metrics and log, and traces."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from temporalio.common import MetricMeter
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from durable_agents.runtime.settings import Settings
from durable_agents.runtime.tracing import Tracing, begin_tracing
from workers.worker_metrics import BUCKETS


@dataclass(frozen=True)
class Telemetry:
    """The telemetry of one process, from its start to `end`."""

    runtime: Runtime
    tracing: Tracing | None

    @classmethod
    def begin(cls, settings: Settings, roles: Sequence[str], metrics_port: int) -> "Telemetry":
        """Begin it.

        Args:
            settings: What is configured.
            roles: What the process runs.
            metrics_port: Where its metrics are shown on loopback; 0 shows none.
        """
        return cls(_core(metrics_port), begin_tracing(settings, roles))

    @property
    def meter(self) -> MetricMeter:
        """Where the process counts what is its own."""
        return self.runtime.metric_meter

    def count_lost(self, lost: Callable[[int], None]) -> None:
        """Have spans counted that do not reach the collector."""
        if self.tracing is not None:
            self.tracing.exporter.lost = lost

    def end(self) -> None:
        """Send what is left of the traces."""
        if self.tracing is not None:
            self.tracing.end()


def _core(metrics_port: int) -> Runtime:
    """The SDK's core, with its metrics on loopback and its log in ours."""
    metrics = PrometheusConfig(
        bind_address=f"127.0.0.1:{metrics_port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=BUCKETS,
    )
    logging_config = LoggingConfig(
        TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(logging.getLogger("temporalio.core")),
    )
    return Runtime(
        telemetry=TelemetryConfig(
            metrics=metrics if metrics_port else None,
            logging=logging_config,
            attach_service_name=False,
        )
    )
