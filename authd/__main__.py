"""`python -m authd` is the command `authd`."""

import sys

from authd.cli import main

sys.exit(main())
