"""Conformance of the API to its OpenAPI document, by generated valid and invalid requests (schemathesis)."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

STREAMING_PATHS = {"/api/events"}
"""Excluded: streams do not end, and have other tests."""

MAX_FAILURE_CHARS = 1500
"""Maximum length of a failure's text."""


def failures(url: str, examples: int) -> list[str]:
    """Describe each response that contradicts the document; `examples`: valid and invalid ones per operation."""
    collected: list[str] = []
    for operation in _operations(url):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Any) -> None:
                # Collected, not raised: hypothesis would try to reproduce the failure with other requests.
                collected.extend(_failures_of(case))

            # An operation without parameters and body has no invalid requests.
            with contextlib.suppress(Unsatisfiable):
                check()
    return collected


def failures_with(
    url: str, paths: str, values: Mapping[str, str], bodies: Mapping[str, Any]
) -> Iterator[str]:
    """Describe failures of operations whose path matches, called with ids of existing objects.

    `bodies`: the request bodies by operation label, like `PATCH /api/x/{id}`.
    """
    for operation in _operations(url):
        if "{" not in operation.path or not re.match(paths, operation.path):
            continue
        arguments = {"body": bodies[operation.label]} if operation.label in bodies else {}
        case = operation.Case(path_parameters=dict(values), **arguments)
        yield from _failures_of(case)


def _operations(url: str) -> Iterator[Any]:
    for result in schemathesis.openapi.from_url(f"{url}/api/openapi.json").get_all_operations():
        assert isinstance(result, Ok), result
        if result.ok().path not in STREAMING_PATHS:
            yield result.ok()


def _failures_of(case: Any) -> Iterator[str]:
    try:
        case.call_and_validate(checks=CHECKS, timeout=20)
    except FailureGroup as error:
        causes = "; ".join(map(str, error.exceptions))
        yield f"{case.operation.label}: {causes} {error}"[:MAX_FAILURE_CHARS]
