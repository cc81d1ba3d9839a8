"""The gallery under the name by which the comparator knows it."""

from authd_drivers.vein.engine.gallery import Gallery, Ranking

__all__ = ["Gallery", "Ranking"]
