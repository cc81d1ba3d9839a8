"""What a surface answers, in the terms of OpenAPI 3.1: docs/reference/openapi.json is made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something a request carries besides its body."""

    name: str
    place: Literal["query", "path", "header", "cookie"]
    about: str
    required: bool = False
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Response:
    """One answer: what it means, and the media type of its body (empty: none) with its JSON schema."""

    about: str
    media: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name of each header that matters -> what it says."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `{name}` in a path is a parameter of place `path`."""

    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    responses: Mapping[int, Response] = field(default_factory=dict[int, Response])
    body: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Media type of a request's body -> its JSON schema; empty: there is none."""
