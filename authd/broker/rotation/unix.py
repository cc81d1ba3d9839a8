"""Passwords of this machine's own accounts, by PAM. Root changes everybody's; anybody else needs the old one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from authd.broker.rotation.port import ChangeRefused, SystemSilent
from authd.broker.secret import Secret, Shape

SUCCESS: Final = 0
WRONG: Final = 7
"""PAM_AUTH_ERR."""
_REFUSALS: Final = {6: "permission denied", 10: "no such account", 12: "expired", 13: "expired", 20: "not taken"}
"""PAM_PERM_DENIED, _USER_UNKNOWN, _NEW_AUTHTOK_REQD, _ACCT_EXPIRED, _AUTHTOK_ERR."""
_ROOT: Final = 0


class UnixSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rotator", tag="unix"):
    """`[system.NAME] rotator = "unix"`."""

    service: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = "passwd"
    """The PAM service (`/etc/pam.d/...`) that knows and changes these passwords."""
    length: int = 40
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 20.0
    """Modules wait some seconds after a wrong password."""


class UnixRotator:
    """The accounts of this machine. `environment`: of the process that asks PAM."""

    def __init__(self, system: UnixSystem, environment: Mapping[str, str] | None = None) -> None:
        self._system = system
        self._environment = {"LC_ALL": "C", "PATH": os.defpath, **(environment or {})}
        self.shape = Shape(system.length)

    @property
    def commanding(self) -> bool:
        """Root is asked for no old password."""
        return os.geteuid() == _ROOT

    def opens(self, account: str, secret: Secret) -> bool:
        """Ask the service whether it opens."""
        code = self._ask({"account": account, "old": secret.reveal()})
        if code not in (SUCCESS, WRONG):
            raise SystemSilent(self._said(code))
        return code == SUCCESS

    def change(self, account: str, old: Secret, new: Secret) -> None:
        """Ask the service to change it."""
        code = self._ask({"account": account, "old": old.reveal(), "new": new.reveal()})
        if code in (WRONG, *_REFUSALS):
            raise ChangeRefused(self._said(code))
        if code != SUCCESS:
            raise SystemSilent(self._said(code))

    def _said(self, code: int) -> str:
        why = _REFUSALS.get(code, "refused" if code == WRONG else "cannot say")
        return f"PAM service {self._system.service}: {why} (PAM's number {code}); see the system's log"

    def _ask(self, question: Mapping[str, str]) -> int:
        """Let a process of its own ask; it is killed when the time is over. Raises `SystemSilent`."""
        told = json.dumps({"service": self._system.service, **question}).encode()
        command = [sys.executable, "-I", "-m", "authd.broker.rotation.pam"]
        try:
            done = subprocess.run(  # noqa: S603 (our own module; the password goes through a pipe)
                command,
                input=told,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
                timeout=self._system.timeout_s,
                check=False,
            )
            return int(json.loads(done.stdout)["code"])
        except subprocess.TimeoutExpired:
            raise SystemSilent(f"PAM service {self._system.service} did not answer in time") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise SystemSilent(f"PAM service {self._system.service} could not be asked; is libpam installed?") from None
