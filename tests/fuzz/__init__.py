"""Coverage-guided fuzzing of everything that reads another's bytes.

    python -m tests.fuzz --list
    python -m tests.fuzz frames --seconds 60
    python -m tests.fuzz all --seconds 60 --jobs 2      (make fuzz)
    python -m tests.fuzz frames --repeat FILE           what one input does, with its traceback
    python -m tests.fuzz frames --keep                  the finds of the last run that reach new code join the corpus

A target lies in `targets/`, what it began with in `corpus/<name>/`, what a run finds in `.fuzz/<name>/` (untracked).
"""
