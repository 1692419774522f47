"""Reads PromQL with a real parser, and looks up in a scrape what an expression names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import promql_parser as promql
from prometheus_client.samples import Sample

VARIABLES = {"$__rate_interval": "5m", "$__range": "1h"}
_VARIABLE = re.compile(r"\$\w+")


@dataclass(frozen=True)
class Selector:
    """What an expression takes from the scrape: a name, and what its labels have to be."""

    text: str
    metric: str
    matchers: tuple[promql.Matcher, ...]

    def takes(self, sample: Sample) -> bool:
        """Whether it takes a sample."""
        return sample.name == self.metric and all(
            _fits(sample.labels.get(one.name, ""), one) for one in self.matchers
        )


def _fits(value: str, matcher: promql.Matcher) -> bool:
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        is_so = value == matcher.value
    else:
        is_so = re.fullmatch(matcher.value, value) is not None
    return is_so == (matcher.op in (promql.MatchOp.Equal, promql.MatchOp.Re))


def parsed(expression: str) -> promql.Expr:
    """An expression of a rule or a dashboard; every variable of a dashboard stands for all."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return promql.parse(_VARIABLE.sub(".*", expression))


def selectors_in(expression: promql.Expr) -> list[Selector]:
    """All that it takes from the scrape."""
    return [
        Selector(str(one), one.name or "", tuple(one.matchers.matchers))
        for one in _within(expression)
        if isinstance(one, promql.VectorSelector)
    ]


def missing_labels(expression: promql.Expr, samples: Sequence[Sample]) -> set[str]:
    """The labels by which it groups or joins, and that nothing it takes has."""
    missing: set[str] = set()
    for part in _within(expression):
        known = _labels_taken(part, samples)
        missing |= {label for label in _labels_of(part) if label not in known}
    return missing


def kept_labels(expression: promql.Expr, samples: Sequence[Sample]) -> set[str]:
    """The labels that its result has."""
    if isinstance(expression, promql.AggregateExpr):
        return set(_labels_of(expression))
    if isinstance(expression, promql.BinaryExpr):
        sides = expression.lhs, expression.rhs
        return set[str]().union(*(kept_labels(side, samples) for side in sides))
    if isinstance(expression, promql.Call):
        kept = set[str]().union(*(kept_labels(given, samples) for given in expression.args))
        return kept - {"le"} if expression.func.name == "histogram_quantile" else kept
    if isinstance(expression, promql.ParenExpr):
        return kept_labels(expression.expr, samples)
    return _labels_taken(expression, samples)


def _labels_taken(expression: promql.Expr, samples: Sequence[Sample]) -> set[str]:
    taking = selectors_in(expression)
    taken = [sample for sample in samples if any(one.takes(sample) for one in taking)]
    return {label for sample in taken for label in sample.labels}


def _labels_of(part: promql.Expr) -> list[str]:
    if isinstance(part, promql.AggregateExpr) and part.modifier is not None:
        return part.modifier.labels
    if isinstance(part, promql.BinaryExpr) and part.modifier is not None:
        matching = part.modifier.matching
        return matching.labels if matching is not None else []
    return []


def _within(expression: promql.Expr) -> Iterator[promql.Expr]:
    found: list[promql.Expr] = []
    promql.walk(expression, found.append)
    return iter(found)
