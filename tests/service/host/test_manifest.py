from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.host.grants import Grants, Limits
from authd.service.host.manifest import Manifest, ManifestError, fill, parse, settled
from authd.service.registry import find_driver

VEIN = b"""
kind = "touch"
modality = "vein"
capabilities = ["capture", "watch"]
settings = ["source", "profile"]
devices = ["{source#/dev/}"]
read = ["{source#folder:}", "/etc/vein/{profile}.toml"]
[limits]
memory_mb = 512
threads = 8
"""


def test_is_read_and_filled() -> None:
    manifest = parse(VEIN)
    assert fill(manifest, {"source": "/dev/video0", "profile": "a"}) == Grants(
        ("/dev/video0",), ("/etc/vein/a.toml",), (), Limits(512, 32, 8)
    )
    assert fill(manifest, {"source": "folder:/data", "profile": "a"}).read == ("/data", "/etc/vein/a.toml")
    assert fill(manifest, {"source": "folder:/data", "profile": "a"}).devices == ()


def test_the_pad_level_is_that_of_the_configured_reader() -> None:
    manifest = parse(VEIN.replace(b"[limits]", b'pad_level_with = {lamp = "heuristic"}\n[limits]'))
    assert settled(manifest, {"source": "/dev/video0"}).pad_level == "none"
    assert settled(manifest, {"source": "/dev/video0", "lamp": ""}).pad_level == "none"
    assert settled(manifest, {"source": "/dev/video0", "lamp": "/dev/gpiochip0"}).pad_level == "heuristic"


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"kind = ",
        b"kind = 1",
        b'kind = "touch"',
        b'kind = "touch"\ncapabilities = ["capture"]',
        b'kind = "touch"\nmodality = "vein"\ncapabilities = ["watch"]',
        b'kind = "signal"\ncapabilities = ["capture"]',
        b'kind = "touch"\nmodality = "card"\ncapabilities = ["capture", "insertion"]',
        b'kind = "touch"\nmodality = "card"\ncapabilities = ["capture", "confirm"]',
        b'kind = "touch"\nmodality = "card"\ncapabilities = ["enroll"]',
        b'kind = "signal"\ncapabilities = ["fly"]',
        b'kind = "signal"\ncapabilities = ["watch"]\nnetwork = true',
        b'kind = "signal"\ncapabilities = ["watch"]\n[limits]\nmemory_mb = 1',
        b'kind = "signal"\ncapabilities = ["watch"]\n[limits]\nthreads = 1000',
        b"x" * 20_000,
        b"a = " + b"[" * 10_000,
    ],
    ids=range(16),
)
def test_a_wrong_manifest_is_one_error(text: bytes) -> None:
    with pytest.raises(ManifestError):
        parse(text)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source": "/dev/video0"}, "profile"),
        ({"source": "/dev/../etc/shadow", "profile": "a"}, "devices"),
        ({"source": "folder:data", "profile": "a"}, "read"),
        ({"source": "folder:/", "profile": "a"}, "read"),
        ({"source": "folder:/a\0b", "profile": "a"}, "read"),
        ({"source": "folder:/data", "profile": "../../root/x"}, "read"),
        ({"source": "folder:/data", "profile": "a", "sauce": "x"}, "sauce"),
    ],
    ids=range(7),
)
def test_a_setting_that_would_reach_elsewhere_is_refused(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        fill(parse(VEIN), settings)


def test_a_device_is_under_dev() -> None:
    manifest = Manifest(kind="signal", capabilities=("watch",), devices=("{source}",))
    with pytest.raises(ManifestError):
        fill(manifest, {"source": "/etc/passwd"})


@given(st.dictionaries(st.sampled_from(["source", "profile"]), st.text(max_size=30)))
def test_no_setting_reaches_outside(settings: dict[str, str]) -> None:
    try:
        grants = fill(parse(VEIN), settings)
    except ManifestError:
        return
    for path in (*grants.devices, *grants.read):
        assert path.startswith("/")
        assert ".." not in path.split("/")


@pytest.mark.parametrize("name", sorted(entry.name for entry in entry_points(group="authd.drivers")))
def test_every_bundled_manifest_is_right(name: str) -> None:
    assert not find_driver(name).manifest.simulator


@pytest.mark.parametrize("device", ["/dev/*", "/dev/hidraw?", "/dev/video*", "/dev/hidraw[0-9]"])
def test_only_keys_are_granted_by_a_pattern(device: str) -> None:
    manifest = parse(b'kind = "touch"\nmodality = "fido2"\ncapabilities = ["capture"]\ndevices = ["{device#/dev/}"]')
    assert fill(manifest, {"device": "/dev/hidraw*"}).devices == ("/dev/hidraw*",)
    with pytest.raises(ManifestError, match="devices"):
        fill(manifest, {"device": device})


def test_a_reader_that_only_verifies_is_one() -> None:
    assert parse(b'kind = "touch"\nmodality = "fprintd"\ncapabilities = ["verify"]').kind == "touch"
