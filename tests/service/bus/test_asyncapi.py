from __future__ import annotations

from pathlib import Path

import pytest

from authd.core.model import EVENT_KINDS
from authd.service.bus import wire
from authd.service.bus.asyncapi import document, text
from authd.service.bus.house import Error, Role
from authd.service.bus.tally import Tally

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def test_the_document_is_current() -> None:
    assert (REFERENCE / "asyncapi.json").read_text(encoding="utf-8") == text(), (
        "run: python -m authd.service.bus.asyncapi > docs/reference/asyncapi.json"
    )


def test_every_kind_of_event_is_described() -> None:
    messages = document()["components"]["messages"]
    assert set(messages) == {kind.value for kind in EVENT_KINDS} | {"lock", "beat"}


@pytest.mark.parametrize("word", [*wire.CALLS, *Error, *Role, *Tally().snapshot()])
def test_the_page_names_every_verb_error_role_and_counter(word: str) -> None:
    assert f"`{word}`" in (REFERENCE / "door.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("call", wire.CALLS.values())
def test_the_page_names_every_member(call: type[wire.Call]) -> None:
    verb = call.__struct_config__.tag
    page = (REFERENCE / "door.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{verb}` |"))
    members = [name for name in call.__struct_encode_fields__ if name != "id"]
    assert all(f"`{name}`" in row.split("|")[2] for name in members)
