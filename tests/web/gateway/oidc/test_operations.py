"""The document lists what answers: a method that it leaves out is one that nobody tries."""

from __future__ import annotations

from authd.web.gateway.oidc.operations import OPERATIONS
from authd.web.gateway.oidc.provider import METHODS


def test_every_method_that_answers_is_listed() -> None:
    listed = {(each.method, each.path.removesuffix("/{client}")) for each in OPERATIONS}
    assert listed == {(method, path) for path, methods in METHODS.items() for method in methods}
