"""Scenario files: what happened, who is on the stage, the scenes in their order, and what is asked afterwards."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

NAMES: Final = ("zushi", "sakai", "hirakata", "meguro", "kyoto", "funabashi")
LANGUAGES: Final = ("ja", "en")
Words = Mapping[str, str]
_TOP: Final = ("year", "city", "title", "happened", "unanswered", "source", "stage", "person", "record", "system")
_MARKS: Final = ("begins", "ends")


class BadScenario(Exception):
    """A scenario file that cannot be played; one line that says where and what is expected."""


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody of the play: one of the invented staff, by their place in the population."""

    id: str
    place: int
    words: Words


@dataclass(frozen=True, slots=True)
class System:
    """A system of the city hall. `linked`: it holds a copy of the protections."""

    id: str
    words: Words
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Something that somebody does. `begins`, `ends`: names of intervals that questions speak of."""

    number: int
    do: str
    words: Words
    given: Mapping[str, Any]
    begins: str = ""
    ends: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is asked afterwards. `id`: the figure's name; `city`: what the city could say."""

    id: str
    ask: str
    words: Words
    given: Mapping[str, Any]
    city: Words = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole file."""

    id: str
    year: str
    city: Words
    title: Words
    happened: Words
    unanswered: Words
    sources: Sequence[str]
    seats: Sequence[str]
    people: int
    roles: Mapping[str, Role]
    records: Mapping[str, str]
    """Number of each resident's record, by what the scenes call it."""
    systems: Mapping[str, System]
    scenes: Sequence[Scene]
    questions: Sequence[Question]


def load(name: str) -> Scenario:
    """Read a scenario that came with this package. Raises `BadScenario`."""
    return parse(name, files("authd_simulators.drills").joinpath("scenarios", f"{name}.toml").read_text("utf-8"))


def parse(name: str, text: str) -> Scenario:
    """Read a scenario. Raises `BadScenario`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadScenario(f"{name}.toml: {error}") from error
    try:
        return _scenario(name, data)
    except (KeyError, TypeError, ValueError) as error:
        raise BadScenario(f"{name}.toml: {error}") from error


def _scenario(name: str, data: Mapping[str, Any]) -> Scenario:
    _only("the file", data, (*_TOP, "scene", "question"))
    stage = data.get("stage", {})
    roles = {id_: Role(id_, int(each["place"]), _words(f"person {id_}", each)) for id_, each in data["person"].items()}
    systems = {
        id_: System(id_, _words(f"system {id_}", each), bool(each.get("linked", False)))
        for id_, each in data.get("system", {}).items()
    }
    found = Scenario(
        id=name,
        year=str(data["year"]),
        city=_words("city", data["city"]),
        title=_words("title", data["title"]),
        happened=_words("happened", data["happened"]),
        unanswered=_words("unanswered", data["unanswered"]),
        sources=[str(each) for each in data["source"]],
        seats=[str(each) for each in stage.get("seats", ["counter-1"])],
        people=int(stage.get("people", 5)),
        roles=roles,
        records={id_: str(number) for id_, number in data.get("record", {}).items()},
        systems=systems,
        scenes=[_scene(number, each) for number, each in enumerate(data["scene"], 1)],
        questions=[_question(each) for each in data["question"]],
    )
    _check(found)
    return found


def _scene(number: int, each: Mapping[str, Any]) -> Scene:
    given = {key: value for key, value in each.items() if key not in (*LANGUAGES, *_MARKS, "do")}
    marks = {mark: str(each.get(mark, "")) for mark in _MARKS}
    return Scene(number, str(each["do"]), _words(f"scene {number}", each), given, **marks)


def _question(each: Mapping[str, Any]) -> Question:
    name = str(each["id"])
    city: Words = _words(f"question {name}, city", each["city"]) if "city" in each else {}
    given = {key: value for key, value in each.items() if key not in (*LANGUAGES, "ask", "id", "city")}
    return Question(name, str(each["ask"]), _words(f"question {name}", each), given, city)


def _check(found: Scenario) -> None:
    """See that every scene and question speaks of what is there, with the words that there are."""
    from authd_simulators.drills.acts import ACTS
    from authd_simulators.drills.questions import QUESTIONS

    marks = {scene.begins for scene in found.scenes} & {scene.ends for scene in found.scenes}
    acts = {word: act.takes for word, act in ACTS.items()}
    asks = {word: asked.takes for word, asked in QUESTIONS.items()}
    spoken = [(f"scene {each.number}", acts, each.do, each.given) for each in found.scenes]
    spoken += [(f"question {each.id}", asks, each.ask, each.given) for each in found.questions]
    for where, takes, word, given in spoken:
        if word not in takes:
            raise ValueError(f"{where}: no such word as {word}, expected one of: {', '.join(sorted(takes))}")
        _only(where, given, takes[word])
        _known(where, given, found, marks)
    if len({each.id for each in found.questions}) != len(found.questions):
        raise ValueError("two questions have the same id")


def _known(where: str, given: Mapping[str, Any], found: Scenario, marks: set[str]) -> None:
    known: Mapping[str, Any] = {
        "who": found.roles,
        "second": found.roles,
        "people": found.roles,
        "record": found.records,
        "system": found.systems,
        "seat": found.seats,
        "other_seat": found.seats,
        "during": marks,
    }
    for name, names in known.items():
        values = given.get(name, [])
        for value in [values] if isinstance(values, str) else values:
            if value not in names:
                raise ValueError(f"{where}: {name}: there is no {value}, expected one of: {', '.join(sorted(names))}")


def _only(where: str, given: Mapping[str, Any], takes: Sequence[str]) -> None:
    for name in given:
        if name not in takes:
            raise ValueError(f"{where}: unknown key {name}, expected one of: {', '.join(takes)}")


def _words(where: str, each: Mapping[str, Any]) -> Words:
    for language in LANGUAGES:
        if not isinstance(each.get(language), str) or not each[language]:
            raise ValueError(f"{where}: {language} is missing")
    return {language: str(each[language]) for language in LANGUAGES}
