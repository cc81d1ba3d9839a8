"""The devices of one host as the path sees them (`ports.Readers`)."""

from authd.service.readers.host import HostReaders, ReaderPlan

__all__ = ["HostReaders", "ReaderPlan"]
