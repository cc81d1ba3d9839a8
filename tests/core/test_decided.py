"""What the ledger keeps of a decision: which rules, of which bundle, and the question itself."""

from __future__ import annotations

from dataclasses import replace

from authd.core.model import Kind
from authd.core.seat import Append, Write
from tests.core.playbook import AOKI, PERMIT, REFUSE, Playbook, touch


def test_rows_of_a_decision_hold_what_was_asked() -> None:
    permit, refuse = replace(PERMIT, asked='{"a":1}'), replace(REFUSE, asked='{"a":2}')
    granted = (Playbook() >> touch(AOKI, permit)).effects
    refused = (Playbook() >> touch(AOKI, refuse)).effects
    rows = [each.entry for each in (*granted, *refused) if isinstance(each, (Append, Write))]
    assert {row.kind: row.data["asked"] for row in rows if "asked" in row.data} == {
        Kind.GRANT: '{"a":1}',
        Kind.ATTEMPT_REFUSED: '{"a":2}',
    }
    assert [row.data["policy"] for row in rows if row.kind is Kind.ATTEMPT_REFUSED] == ["b1"]
