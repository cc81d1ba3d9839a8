"""Exit codes of every verb."""

from typing import Final

OK: Final = 0
WRONG: Final = 1
"""The answer is bad news: a ledger that does not verify, a policy case that fails."""
USAGE: Final = 2
"""The input is wrong: arguments, configuration, policy."""
UNREACHABLE: Final = 3
"""No daemon there."""
REFUSED: Final = 4
"""The daemon said no."""
