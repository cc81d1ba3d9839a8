"""Leak trace: which export found files came from, and whose records are in them.

`PrintsMaker` takes the rows of an export or of a data set that existed before, `Prints` knows them again, `canaries`
makes rows that are nobody's, and `authd trace` reads whatever lies in a folder against all of them.
"""

from authd.service.evidence.trace.canary import canaries, canary_count
from authd.service.evidence.trace.form import About, BadPrints
from authd.service.evidence.trace.make import PrintsMaker, Written
from authd.service.evidence.trace.prints import Printer
from authd.service.evidence.trace.search import Prints

__all__ = ["About", "BadPrints", "Printer", "Prints", "PrintsMaker", "Written", "canaries", "canary_count"]
