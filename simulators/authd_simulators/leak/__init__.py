"""A leak like Sakai's of 2015, invented: a rented server with 14,000 files, among them 15 with residents' data.

The same files for the same seed. Nobody in them is meant: names are put together from common parts, towns are invented.
`python -m authd_simulators.leak FOLDER` makes one; `tests.bench.evidence_trace` looks for it.
"""

from authd_simulators.leak.make import Leaked, Made, make

__all__ = ["Leaked", "Made", "make"]
