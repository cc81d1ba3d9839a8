"""The vein engine: what is done to one picture, and to two templates. No device, no person, no decision."""
