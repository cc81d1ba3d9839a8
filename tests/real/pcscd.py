"""The real pcscd with vsmartcard's virtual reader, in namespaces of a test's own: see the module it comes from."""

from authd_simulators.private_pcscd import PORT, Pcscd, client_socket, folder

__all__ = ["PORT", "Pcscd", "client_socket", "folder"]
