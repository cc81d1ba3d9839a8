"""The table of verbs: who may say each, and how it is answered. Verbs about one subject have their own module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from authd.service.bus import (
    carryout,
    credentials,
    desktop,
    flags,
    follow,
    procedures,
    sign_on,
    supervision,
    tokens,
    unattributed,
    verbs,
    views,
    wire,
)
from authd.service.bus.certificates import VERBS as CERTIFICATES
from authd.service.bus.verbs import ADMIN, ALL, APPLICATION, FOLLOWERS, SCREEN, Verb

VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    wire.Ping: Verb(ALL, instant=verbs.ping),
    wire.Cancel: Verb(ALL),
    wire.Who: Verb(FOLLOWERS, instant=verbs.who),
    wire.Follow: Verb(FOLLOWERS, stream=follow.follow),
    wire.Watch: Verb(SCREEN, stream=follow.watch),
    wire.Activity: Verb(SCREEN, instant=verbs.activity),
    wire.Press: Verb(SCREEN, waiting=verbs.press),
    wire.Answer: Verb(SCREEN | ADMIN, instant=verbs.answer),
    wire.RosterCall: Verb(SCREEN, instant=verbs.roster),
    wire.Claim: Verb(SCREEN, instant=verbs.claim),
    wire.WebAuthnBegin: Verb(SCREEN, instant=verbs.webauthn_begin),
    wire.WebAuthnDone: Verb(SCREEN, instant=verbs.webauthn_done),
    wire.OpenTicket: Verb(SCREEN, instant=verbs.ticket),
    wire.Exchange: Verb(APPLICATION, instant=verbs.exchange),
    wire.StepUpCall: Verb(APPLICATION, waiting=verbs.step_up),
    wire.History: Verb(ADMIN, stream=verbs.history),
    wire.People: Verb(ADMIN, stream=verbs.people),
    wire.Enrol: Verb(ADMIN, stream=verbs.enrol),
    wire.Disable: Verb(ADMIN, waiting=verbs.disable),
    wire.Keys: Verb(ADMIN, stream=verbs.keys),
    wire.Revoke: Verb(ADMIN, waiting=verbs.revoke),
    wire.BreakGlassCall: Verb(ADMIN, stream=verbs.broken_glass),
    wire.ReviewCall: Verb(ADMIN, waiting=verbs.review),
    wire.Status: Verb(ADMIN, instant=verbs.status),
    wire.SealCall: Verb(ADMIN, waiting=verbs.seal),
    wire.Stop: Verb(ADMIN, waiting=verbs.stop),
    **views.VERBS,
    **flags.VERBS,
    **carryout.VERBS,
    **procedures.VERBS,
    **supervision.VERBS,
    **CERTIFICATES,
    **sign_on.VERBS,
    **unattributed.VERBS,
    **credentials.VERBS,
    **tokens.VERBS,
    **desktop.VERBS,
}
