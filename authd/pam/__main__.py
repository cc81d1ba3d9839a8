"""`python -I -m authd.pam seat=... application=...`, called by `pam_exec`."""

from __future__ import annotations

import os
import sys

from authd.pam.helper import main

sys.exit(main(sys.argv[1:], os.environ, sys.stdout))
