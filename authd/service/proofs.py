"""What keys and cards sign and services say, as the verifier child judges it: counted first, and then believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from authd.core.model import (
    Candidate,
    Denial,
    Denied,
    Evidence,
    Factor,
    Grade,
    Instant,
    ReaderId,
    SubjectId,
)
from authd.core.ports import PortError, Sample, Unavailable
from authd.service.host.frames import Check, Message, Verdict

REMEMBERED: Final = 256
"""Credentials that can be looked for silently: those checked last."""
Ask = Callable[[Check, Sequence[SubjectId]], Awaitable[Message]]
"""Has the child check it among these people. Raises `Unavailable`."""


class Signatures(Protocol):
    """Durable signature counters of keys (the store)."""

    async def signatures(self) -> Mapping[str, int]:
        """Return the last counter of each key, by reference."""
        ...

    async def keep_signature(self, reference: str, counter: int) -> bool:
        """Return once it is durable; False where it is no step forward."""
        ...


class Proofs:
    """`modalities`: of each reader; `signatures` None: no key that counts is believed."""

    def __init__(self, modalities: Mapping[ReaderId, str], signatures: Signatures | None, ask: Ask) -> None:
        self._modalities, self._signatures, self._ask = modalities, signatures, ask
        self._credentials: dict[str, bytes] = {}
        self._revoked: set[str] = set()

    async def judge(
        self, sample: Sample, scope: Sequence[SubjectId], captured_at: Instant
    ) -> Candidate | Denied | None:
        """Return whose it is, or why it is nobody's; None: the child has answered what it must not.

        Raises `Unavailable`.
        """
        check = Check(self._modalities[sample.reader], sample.probe, sample.nonce, sample.silent)
        verdict = await self._ask(check, scope)
        if not isinstance(verdict, Verdict) or not _may_be(verdict, sample, scope):
            return None
        subject = SubjectId(verdict.subject)
        if verdict.denial is not None:
            return Denied(verdict.denial, subject or None, verdict.reference)
        if verdict.counter is not None and not await self._count(verdict.reference, verdict.counter):
            return Denied(Denial.CLONED, subject, verdict.reference)
        if verdict.reference in self._revoked:  # while it was being checked and counted
            return Denied(Denial.REVOKED, subject, verdict.reference)
        self._remember(verdict)
        return Candidate(subject, _evidence(sample, verdict, captured_at))

    def credential(self, reference: str) -> bytes | None:
        """Return what a reader needs to find this credential silently; None: it was not checked lately."""
        return self._credentials.get(reference)

    def revoke(self, reference: str) -> None:
        """From now on nothing that rests on it is believed."""
        self._revoked.add(reference)
        self._credentials.pop(reference, None)

    async def _count(self, reference: str, counter: int) -> bool:
        if self._signatures is None:
            raise Unavailable("verifier: nowhere to count signatures")
        try:
            return await self._signatures.keep_signature(reference, counter)
        except PortError as error:
            raise Unavailable(f"verifier: signatures: {error}") from error

    def _remember(self, verdict: Verdict) -> None:
        self._credentials.pop(verdict.reference, None)
        self._credentials[verdict.reference] = verdict.credential
        if len(self._credentials) > REMEMBERED:
            del self._credentials[next(iter(self._credentials))]


def _may_be(verdict: Verdict, sample: Sample, scope: Sequence[SubjectId]) -> bool:
    return verdict.denial is not None or (
        verdict.subject in scope
        and verdict.grade in set(Grade)
        and set(verdict.factors) <= set(Factor)
        and bool(verdict.factors or sample.silent)
    )


def _evidence(sample: Sample, verdict: Verdict, captured_at: Instant) -> Evidence:
    """Of a silent answer the factor says only what it is: nobody did anything, and core opens nothing with it."""
    first, *more = verdict.factors or (Factor.KEY,)
    return Evidence(
        sample.reader,
        Factor(first),
        Grade(verdict.grade),
        sample.nonce,
        captured_at,
        verdict.reference,
        1.0,
        1.0,
        more=frozenset(map(Factor, more)),
        bound=((sample.reader, sample.insertion),) if sample.insertion else (),
    )
