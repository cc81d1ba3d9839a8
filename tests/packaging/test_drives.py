"""USB drives: what udev's rules and USBGuard's hook would run. Neither udevd nor USBGuard nor a drive is here.

The hook gets the environment that `usbguard watch --exec` makes (USBGuard, src/CLI/IPCSignalWatcher.cpp: the manual has
no list of it), and a `usbguard` that writes down what it is told. USBGuard sends three signals for a drive that comes:
the presence, with the state that the kernel gave it; a change of that; and in the end what its rules have made of it.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
RULES = PACKAGING / "udev" / "72-authd-seat-usb.rules"
HOOK = PACKAGING / "usbguard" / "authd-usbguard"
DRIVE = 'block id 0781:5581 serial "4C530001" name "Ultra" hash "x" with-interface 08:06:50'


def lines() -> list[str]:
    text = RULES.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_rules_switch_off_whatever_the_helper_does_not_allow() -> None:
    *ways_out, last, label = lines()
    assert last == 'ATTR{authorized}="0"'
    assert label == 'LABEL="authd_seat_usb_end"'
    assert [line for line in ways_out if "PROGRAM" in line] == [
        'PROGRAM=="/opt/authd-seat/bin/authd carryout check-usb", GOTO="authd_seat_usb_end"'
    ]


def test_each_line_is_one_that_udev_knows() -> None:
    key = r"(?:ACTION|SUBSYSTEM|PROGRAM|LABEL|GOTO|ENV\{\w+\}|ATTR\{\w+\}|IMPORT\{builtin\})"
    term = rf'{key}(?:==|!=|=)"[^"]*"'
    for line in lines():
        assert re.fullmatch(rf"{term}(?:, {term})*", line), line


READ = """\
mount -t tmpfs none /run && mkdir -p /run/udev/rules.d && cp "$@" /run/udev/rules.d/ &&
exec udevadm test --action=add /sys/devices/virtual/mem/null
"""


def complaints(*rules: Path) -> list[str]:
    """What udev says of rules that it reads, in a mount namespace of their own; no device is touched."""
    words = ["unshare", "--mount", "sh", "-c", READ, "sh", *map(str, rules)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    said = (done.stdout + done.stderr).splitlines()
    assert any(f"Reading rules file: /run/udev/rules.d/{rules[0].name}" in line for line in said), said
    return [line for line in said if line.startswith("/run/udev/rules.d/")]


@pytest.mark.real
def test_udev_itself_has_nothing_to_say_against_the_rules(tmp_path: Path) -> None:
    bad = tmp_path / "73-bad.rules"
    bad.write_text('COLOUR=="red", GOTO="x"\n')
    assert complaints(RULES) == []
    assert complaints(RULES, bad) != []


def hook(folder: Path, allowed: int, **told: str) -> tuple[int, str, str]:
    """Run it; return its exit code, what authd was asked, and what usbguard was told."""
    (folder / "authd").write_text(
        f'#!/bin/sh\necho "$* $ID_VENDOR_ID:$ID_MODEL_ID:$ID_SERIAL_SHORT" >> {folder}/asked\nexit {allowed}\n'
    )
    (folder / "usbguard").write_text(f'#!/bin/sh\necho "$*" >> {folder}/told\n')
    for name in ("authd", "usbguard"):
        (folder / name).chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "AUTHD_COMMAND": str(folder / "authd"), **told}
    done = subprocess.run([HOOK], env=env, check=False, timeout=30)
    asked, said = folder / "asked", folder / "told"
    return (
        done.returncode,
        asked.read_text().strip() if asked.exists() else "",
        said.read_text().strip() if said.exists() else "",
    )


def came(rule: str = DRIVE, **changes: str) -> dict[str, str]:
    """What is told of a drive once USBGuard has applied its rules."""
    plain = {"USBGUARD_IPC_SIGNAL": "Device.PolicyApplied", "USBGUARD_DEVICE_TARGET_NEW": rule.partition(" ")[0]}
    return {**plain, "USBGUARD_DEVICE_ID": "7", "USBGUARD_DEVICE_RULE": rule, "USBGUARD_DEVICE_RULE_ID": "3", **changes}


def present(rule: str = DRIVE) -> dict[str, str]:
    """What is told of it before."""
    told = {"USBGUARD_IPC_SIGNAL": "Device.PresenceChanged", "USBGUARD_DEVICE_EVENT": "Insert"}
    target = rule.partition(" ")[0]
    return {**told, "USBGUARD_DEVICE_ID": "7", "USBGUARD_DEVICE_TARGET": target, "USBGUARD_DEVICE_RULE": rule}


def test_a_drive_that_is_allowed_is_let_in(tmp_path: Path) -> None:
    assert hook(tmp_path, 0, **came()) == (0, "carryout check-usb 0781:5581:4C530001", "allow-device 7")


@pytest.mark.parametrize("rule", [DRIVE, DRIVE.replace("08:06:50", "{ 03:00:00 08:06:50 }")], ids=["plain", "two"])
def test_it_is_asked_about_once_whatever_the_kernel_had_made_of_it(tmp_path: Path, rule: str) -> None:
    """Where the kernel lets everything in, the presence tells of an allowed drive, which the rules then block."""
    for told in (present(rule.replace("block", "allow")), came(rule)):
        done = hook(tmp_path, 0, **told)
    assert done == (0, "carryout check-usb 0781:5581:4C530001", "allow-device 7")


@pytest.mark.parametrize("refused", [1, 3, 4, 124])
def test_a_drive_that_is_not_stays_blocked(tmp_path: Path, refused: int) -> None:
    assert hook(tmp_path, refused, **came()) == (1, "carryout check-usb 0781:5581:4C530001", "")


@pytest.mark.parametrize(
    "told",
    [
        present(),
        came(USBGUARD_IPC_SIGNAL="Device.PolicyChanged"),
        came('block id 046d:c31c serial "" name "Keyboard" with-interface 03:01:01'),
        came(DRIVE.replace("block", "allow")),
        came(DRIVE.replace("block", "reject")),
        came(USBGUARD_DEVICE_RULE_ID="4294967295"),
        {},
    ],
    ids=["not-judged-yet", "told-twice", "keyboard", "let-in-by-a-rule", "rejected", "blocked-by-hand", "nothing"],
)
def test_nothing_but_a_drive_that_the_rules_have_blocked_is_asked_about(tmp_path: Path, told: dict[str, str]) -> None:
    assert hook(tmp_path, 0, **told) == (0, "", "")


def test_a_drive_cannot_speak_for_another_by_its_name(tmp_path: Path) -> None:
    lying = 'block id 1111:2222 serial "" name "x serial \\"4C530001\\" id 0781:5581" with-interface 08:06:50'
    assert hook(tmp_path, 0, **came(lying))[1] == "carryout check-usb 1111:2222:"


def test_a_strange_number_is_given_to_no_command(tmp_path: Path) -> None:
    assert hook(tmp_path, 0, **came(USBGUARD_DEVICE_ID="7; rm"))[::2] == (1, "")
