"""Writes docs/reference/openapi.json, the OpenAPI 3.1 document of what the gateway answers.

    python -m authd.web.gateway.openapi > docs/reference/openapi.json

A test compares the file with what this writes, and another one sends the gateway what the document allows and what it
does not (tests/e2e/wiring/test_openapi.py): so a surface that answers otherwise than it says breaks the build.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from authd.web.gateway.app import operations
from authd.web.gateway.operations import Operation, Parameter, Response

_NOT_WORD = re.compile(r"[^A-Za-z0-9]+")


def document(listed: Iterable[Operation] | None = None) -> dict[str, Any]:
    """Return the document; by default of everything that the gateway can answer."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in sorted(operations() if listed is None else listed, key=lambda each: (each.path, each.method)):
        methods = paths.setdefault(operation.path, {})
        if operation.method.lower() in methods:
            raise ValueError(f"{operation.method} {operation.path} is listed twice")
        methods[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "authd gateway",
            "version": "1.0.0",
            "description": "The HTTP surfaces for applications that cannot be changed. Behind a proxy, on loopback.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
    }


def _operation(operation: Operation) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}{_words(operation.path)}",
        "summary": operation.summary,
        "tags": [operation.path.strip("/").split("/")[0].split("{")[0] or "gateway"],
        "responses": {str(status): _response(status, each) for status, each in sorted(operation.responses.items())},
    }
    if operation.parameters:
        written["parameters"] = [_parameter(each) for each in operation.parameters]
    if operation.body:
        content = {media: {"schema": dict(schema)} for media, schema in operation.body.items()}
        written["requestBody"] = {"required": True, "content": content}
    return written


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.about,
        "required": parameter.required or parameter.place == "path",
        "schema": dict(parameter.schema),
    }


def _response(status: int, response: Response) -> dict[str, Any]:
    written: dict[str, Any] = {"description": response.about or HTTPStatus(status).phrase}
    if response.media:
        written["content"] = {response.media: {"schema": dict(response.schema)} if response.schema else {}}
    if response.headers:
        written["headers"] = {
            name: {"description": about, "schema": {"type": "string"}} for name, about in response.headers.items()
        }
    return written


def _words(path: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in _NOT_WORD.split(path) if word) or "Root"


def text() -> str:
    """Return the document as it stands in the file."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
