"""The metrics of several processes as one."""

from prometheus_client.parser import text_string_to_metric_families

from workers.health import merge

ONE = """\
# HELP temporal_request Count of requests.
# TYPE temporal_request counter
temporal_request{operation="Poll \\"it\\""} 3
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total 5
# HELP slots Free slots.
# TYPE slots gauge
slots 7
# HELP latency Seconds.
# TYPE latency histogram
latency_bucket{le="0.1"} 1
latency_bucket{le="+Inf"} 2
latency_sum 0.5
latency_count 2
"""


def samples_of(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_sample_keeps_its_name_and_value_and_gets_its_process() -> None:
    other = ONE.replace(" 3\n", " 30\n")

    merged = samples_of(merge([("0", ONE), ("1", other)]).decode())

    expected = {
        (name, labels | {("process", number)}): value
        for number, text in (("0", ONE), ("1", other))
        for (name, labels), value in samples_of(text).items()
    }
    assert merged == expected


def test_a_family_is_declared_once() -> None:
    merged = merge([("0", ONE), ("1", ONE)]).decode()

    declared = [line for line in merged.splitlines() if line.startswith("# TYPE")]
    assert len(declared) == len(set(declared)) == 4


def test_nobody_answering_is_no_metrics() -> None:
    assert merge([]) == b""
