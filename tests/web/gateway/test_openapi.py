"""The OpenAPI document is what the surfaces list, and nothing in it is made up or left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from authd.web.gateway.app import SURFACES, modules, operations
from authd.web.gateway.openapi import document, text
from authd.web.gateway.operations import Operation, Response

FILE = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"


def test_the_file_is_what_the_surfaces_say() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), (
        "python -m authd.web.gateway.openapi > docs/reference/openapi.json"
    )


def test_every_surface_is_in_it() -> None:
    listed = {(each.method, each.path) for each in operations()}
    assert len(listed) == len(operations())
    for name in SURFACES:
        assert {(each.method, each.path) for each in modules()[name].OPERATIONS} <= listed, name


@pytest.mark.parametrize("operation", operations(), ids=lambda each: f"{each.method} {each.path}")
def test_an_operation_names_its_path_parameters_and_its_answers(operation: Operation) -> None:
    held = set(re.findall(r"\{([a-z_]+)\}", operation.path))
    assert held == {each.name for each in operation.parameters if each.place == "path"}
    assert operation.responses
    assert all(100 <= status < 600 and each.about for status, each in operation.responses.items())
    assert operation.summary


def test_it_is_openapi() -> None:
    made = document()
    ids = [each["operationId"] for methods in made["paths"].values() for each in methods.values()]
    assert len(ids) == len(set(ids))
    assert made["openapi"].startswith("3.1")
    json.dumps(made)


def test_what_is_listed_twice_is_refused() -> None:
    twice = Operation("GET", "/health", "x", responses={200: Response("x")})
    with pytest.raises(ValueError, match="twice"):
        document([twice, twice])
