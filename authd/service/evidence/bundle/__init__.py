"""The evidence bundle: a zip that a court can check without authd, and the statements that are printed from it.

`verify_evidence.py` goes into every bundle and stands alone; what is printed is made by its code, so that the verifier
can make it again. Plain functions over the ledger's files, as `authd who` reads them: no daemon is needed.
"""

from authd.service.evidence.bundle.build import Bundle, NotShown, build, save
from authd.service.evidence.bundle.gather import TooMany
from authd.service.evidence.bundle.names import Naming, labels
from authd.service.evidence.bundle.question import Ask, Question

__all__ = ["Ask", "Bundle", "Naming", "NotShown", "Question", "TooMany", "build", "labels", "save"]
