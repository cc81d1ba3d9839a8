"""Sign-on to a terminal host (3270) for whoever is at the seat, through the emulator there; signed off at the lock."""
