"""One request as a person writes it down, read strictly and decided by a bundle (`asked` has its form)."""

from __future__ import annotations

import msgspec

from authd.core.model import Decision
from authd.service.pdp.asked import Question
from authd.service.pdp.bundle import Bundle
from authd.service.pdp.decision import Pdp
from authd.service.pdp.errors import BundleError


def parse(text: bytes | str, file: str = "request") -> Question:
    """Read a question. Raises `BundleError`, whose line is 1: the place is in its text, as `$.subject.id`."""
    try:
        question = msgspec.json.decode(text, type=Question)
        question.time()
    except (msgspec.DecodeError, ValueError) as error:
        raise BundleError(file, 1, f"expected a request: {error}") from error
    return question


def decide(bundle: Bundle, question: Question) -> Decision:
    """Return what this bundle decides."""
    return Pdp(bundle, question.time, question.directory()).decide(question.request())
