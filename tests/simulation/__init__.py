"""The core under a seeded storm: the daemon's own objects over fake ports, and an oracle that knows only the ports.

`python -m tests.simulation.run` runs episodes; `--seed N` replays one exactly.
"""
