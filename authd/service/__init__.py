"""Touches the world: each module implements one port of the core with one kind of I/O."""
