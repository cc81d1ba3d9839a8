from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from authd.core.model import EVENT_KINDS
from authd.service.bus import requests, wire
from authd.service.bus.asyncapi import document, text
from authd.service.bus.house import Error, Role
from authd.service.bus.tally import Tally

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_the_document_is_current() -> None:
    assert (REFERENCE / "asyncapi.json").read_text(encoding="utf-8") == text(), (
        "run: python -m authd.service.bus.asyncapi > docs/reference/asyncapi.json"
    )


def test_every_kind_of_event_is_described() -> None:
    messages = {name for name in document()["components"]["messages"] if not name.startswith("request.")}
    assert messages == {kind.value for kind in EVENT_KINDS} | {"lock", "beat"}


def test_every_verb_is_described() -> None:
    made = document()
    assert set(made["channels"]["door"]["messages"]) == {f"request.{verb}" for verb in requests.CALLS}
    who = made["components"]["messages"]["request.who"]
    assert (who["x-authd-asked-by"], who["x-authd-answered"]) == (["admin", "application"], "once")
    schema = made["components"]["schemas"][who["payload"]["$ref"].rsplit("/", 1)[1]]
    assert schema["properties"]["verb"] == {"enum": ["who"]}
    assert set(schema["required"]) == {"verb", "id", "seat"}


def test_every_reference_leads_somewhere() -> None:
    made = document()
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(made)):
        found = made
        for step in reference.split("/"):
            found = found[step]


@pytest.mark.parametrize("word", [*requests.CALLS, *Error, *Role, *Tally().snapshot()])
def test_the_page_names_every_verb_error_role_and_counter(word: str) -> None:
    assert f"`{word}`" in (REFERENCE / "door.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("call", requests.CALLS.values())
def test_the_page_names_every_member(call: type[wire.Call]) -> None:
    verb = call.__struct_config__.tag
    page = (REFERENCE / "door.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{verb}` |"))
    members = [name for name in call.__struct_encode_fields__ if name != "id"]
    assert all(f"`{name}`" in row.split("|")[2] for name in members)
