"""The append-only ledger of one host: durable before any grant, signed, and readable without a daemon.

`Ledger` is for the daemon; `Reader`, `presence` and `verify` are plain functions over the files.
"""

from authd.service.ledger.head import KeySigner, checker, open_checkpoint, published
from authd.service.ledger.ledger import Ledger, Standing
from authd.service.ledger.presence import Stay, presence
from authd.service.ledger.proofs import Complete, Growth, Inclusion, prove, prove_complete, prove_growth
from authd.service.ledger.query import Anchor, Reader
from authd.service.ledger.record import Placed, Recorded
from authd.service.ledger.sealing import seal_file
from authd.service.ledger.segment import FORMAT
from authd.service.ledger.trouble import LedgerDamaged, LedgerFormat, Trouble
from authd.service.ledger.unknown import Unknown, Why, unknown
from authd.service.ledger.verify import Finding, Flaw, Verdict, verify

__all__ = [
    "FORMAT",
    "Anchor",
    "Complete",
    "Finding",
    "Flaw",
    "Growth",
    "Inclusion",
    "KeySigner",
    "Ledger",
    "LedgerDamaged",
    "LedgerFormat",
    "Placed",
    "Reader",
    "Recorded",
    "Standing",
    "Stay",
    "Trouble",
    "Unknown",
    "Verdict",
    "Why",
    "checker",
    "open_checkpoint",
    "presence",
    "prove",
    "prove_complete",
    "prove_growth",
    "published",
    "seal_file",
    "unknown",
    "verify",
]
