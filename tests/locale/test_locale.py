from __future__ import annotations

import re
import subprocess
import sys
from enum import StrEnum

import pytest

from authd.core.model import Confirms, Denial, EndReason, Fault, Grade, Hint, Message, PromptId, SeatState
from authd.locale import LANGUAGES, UnknownText, catalogue, identify, text

NOUNS: list[StrEnum] = [*Message, *Hint, *Fault, *Denial, *PromptId, *EndReason, *SeatState, *Grade]
ON_SCREEN = ("message.", "hint.", "fault.", "denial.", "prompt_id.", "screen.")
MAY_NAME = {"message.start", "message.fading", "screen.name"}
CITY_WORDS = ("住民", "支援", "保護", "フラグ", "resident", "protect", "flag")


def seen(language: str) -> list[tuple[str, str]]:
    return [(id_, line) for id_, line in catalogue(language).items() if id_.startswith(ON_SCREEN)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("noun", NOUNS, ids=repr)
def test_every_noun_has_a_sentence(noun: StrEnum, language: str) -> None:
    assert text(noun, language, name="佐藤")


def test_both_languages_say_the_same_things() -> None:
    assert catalogue("ja").keys() == catalogue("en").keys()
    for id_, line in catalogue("ja").items():
        assert holes(line) == holes(catalogue("en")[id_]), id_


@pytest.mark.parametrize(("id_", "line"), seen("en"), ids=lambda value: value)
def test_english_on_the_screen_is_six_words_at_most(id_: str, line: str) -> None:
    assert len(line.split()) <= 6


@pytest.mark.parametrize(("id_", "line"), seen("ja"), ids=lambda value: value)
def test_japanese_on_the_screen_is_short(id_: str, line: str) -> None:
    assert len(re.sub(r"\{\w+\}", "", line)) <= 18


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_stands_only_where_the_owner_is_spoken_to(language: str) -> None:
    assert {id_ for id_, line in catalogue(language).items() if "{name}" in line} == MAY_NAME


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_on_the_screen_hints_at_a_resident(language: str) -> None:
    for id_, line in seen(language):
        assert not any(word in line.lower() for word in CITY_WORDS), id_


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_touch_allows_is_said_in_a_sentence_of_its_own(language: str) -> None:
    said = {text(f"screen.confirm_{each.value}", language) for each in Confirms}
    assert len(said | {text(Message.CONFIRM, language)}) == len(Confirms) + 1


def test_values_fill_the_holes() -> None:
    assert text(Message.START, "ja", name="佐藤 花子") == "佐藤 花子さん、開始"
    assert text("message.start", "en", name="{name}") == "{name}, start"


def test_nouns_are_ids() -> None:
    assert identify(Message.FAULT) == "message.fault"
    assert identify(EndReason.FAULT) == "end_reason.fault"
    assert identify("screen.lock") == "screen.lock"


def test_a_mistake_is_named() -> None:
    for mistake in (("message.nothing", "ja"), ("message.start", "ja"), ("message.waiting", "fr")):
        with pytest.raises(UnknownText):
            text(*mistake)


def test_only_the_standard_library_is_imported() -> None:
    code = "import sys, authd.locale; print([n for n in sys.modules if n.split('.')[0] not in sys.stdlib_module_names])"
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    names = {name for name in re.findall(r"'([^']+)'", out) if not name.startswith(("_", "sitecustomize", "authd"))}
    assert names == set()
    assert "authd.core" not in out


def holes(line: str) -> set[str]:
    return set(re.findall(r"\{\w+\}", line))
