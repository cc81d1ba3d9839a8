"""Desktop agents (locker, idle, presence): clients of the bus, built in a later step."""
