"""The whole OpenAPI document against the service: whatever schemathesis thinks of is answered as documented."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from facerec.serving.settings import Settings
from tests.serving.conftest import Service


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("key", [None, "right"])
def test_every_answer_is_documented(mode: GenerationMode, key: str | None, serve: Service, model: Path) -> None:
    service = serve(Settings.model_validate({"model": model} | ({"api_key": key} if key else {})))
    document = schemathesis.openapi.from_url(f"{service}/openapi.json")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    operations = [result.ok() for result in document.get_all_operations() if isinstance(result, Ok)]
    assert {operation.path for operation in operations} >= {"/predict", "/predict/upload", "/people", "/verify"}
    if mode is GenerationMode.NEGATIVE:
        operations = [operation for operation in operations if operation.method != "get"]

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of([operation.as_strategy(mode) for operation in operations]))
    def check(case: schemathesis.Case[Any]) -> None:
        # What fits the schema as a URL hardly ever names a picture.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    check()
