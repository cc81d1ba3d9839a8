"""Scenario files: each says where its facts are from, and nothing in it speaks of what is not there."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files

import pytest

from authd_simulators.drills import NAMES, load
from authd_simulators.drills.acts import ACTS
from authd_simulators.drills.play import Told
from authd_simulators.drills.questions import QUESTIONS
from authd_simulators.drills.scenario import BadScenario, parse
from authd_simulators.drills.story import page

SCENE = """
[[scene]]
do = "log_in"
who = "clerk"
seat = "counter-1"
ja = "始"
en = "starts"
begins = "day"
ends = "day"
"""
QUESTION = """
[[question]]
id = "one"
ask = "who"
seat = "counter-1"
during = "day"
people = ["clerk"]
ja = "誰"
en = "who"
"""
TEXT = f"""
year = "2012"
source = ["a report"]
city = {{ ja = "市", en = "a city" }}
title = {{ ja = "題", en = "a title" }}
happened = {{ ja = "事", en = "it happened" }}
unanswered = {{ ja = "問", en = "not answered" }}
[person.clerk]
place = 2
ja = "職員"
en = "a clerk"
{SCENE}
{QUESTION}
"""


@pytest.mark.parametrize("name", NAMES)
class TestEveryScenario:
    def test_it_can_be_played(self, name: str) -> None:
        found = load(name)
        assert found.scenes
        assert found.questions
        assert {scene.begins for scene in found.scenes} >= {scene.ends for scene in found.scenes}

    def test_it_says_where_its_facts_are_from(self, name: str) -> None:
        assert load(name).sources

    def test_it_asks_whether_the_ledger_was_changed_and_what_the_city_could_not_say(self, name: str) -> None:
        found = load(name)
        assert found.questions[-1].ask == "verified"
        assert any(question.city for question in found.questions)

    def test_every_person_of_it_is_on_the_stage(self, name: str) -> None:
        found = load(name)
        assert all(role.place < found.people for role in found.roles.values())


def test_there_is_no_other_scenario_and_no_word_that_none_uses() -> None:
    folder = files("authd_simulators.drills").joinpath("scenarios")
    assert {each.name for each in folder.iterdir()} == {f"{name}.toml" for name in NAMES}
    played = [load(name) for name in NAMES]
    assert {scene.do for each in played for scene in each.scenes} == set(ACTS)
    assert {question.ask for each in played for question in each.questions} == set(QUESTIONS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('do = "log_in"', 'do = "fly"', "scene 1: no such word as fly"),
        ('ask = "who"', 'ask = "why"', "question one: no such word as why"),
        ('who = "clerk"', 'who = "nobody"', "scene 1: who: there is no nobody"),
        ('seat = "counter-1"', 'seat = "counter-9"', "there is no counter-9"),
        ('during = "day"', 'during = "night"', "question one: during: there is no night"),
        ('begins = "day"', 'begin = "day"', "scene 1: unknown key begin"),
        ('en = "starts"', "", "scene 1: en is missing"),
        ('people = ["clerk"]', 'people = ["other"]', "people: there is no other"),
        ('source = ["a report"]', "", "'source'"),
        ("place = 2", "place = two", "Invalid value"),
        ("[person.clerk]", "[persons.clerk]", "unknown key persons"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(old: str, new: str, said: str) -> None:
    parse("mine", TEXT)
    with pytest.raises(BadScenario) as raised:
        parse("mine", TEXT.replace(old, new))
    assert str(raised.value).startswith("mine.toml: ")
    assert said in str(raised.value)


def test_the_page_shows_what_failed_and_cannot_be_made_to_run_anything() -> None:
    bad = {"ja": "<script>alert(1)</script>", "en": "<b>"}
    at = datetime(2026, 11, 22, 13, 5, tzinfo=UTC)
    told = [Told(at, 1.0, bad, bad, ok=False), Told(at, 2.0, bad, bad, ok=True), Told(at, 2.0, bad, bad)]
    made = page(load(NAMES[0]), told, told, all_ok=False)
    assert "<script" not in made
    assert made.count("✗ NG") == 2
    assert "✗ 不合格" in made
    assert "13:05:00" in made
