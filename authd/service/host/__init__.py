"""Child processes of the host: how they are started, confined, watched, spoken to and replaced."""
