"""Simulated devices: each holds one end of a cable and obeys text commands."""

from authd_simulators.devices.device import CommandError, Device, Trouble
from authd_simulators.devices.presence import PresenceSensor
from authd_simulators.devices.remote import RemoteDevice
from authd_simulators.devices.vein import VeinReaderDevice

__all__ = ["CommandError", "Device", "PresenceSensor", "RemoteDevice", "Trouble", "VeinReaderDevice"]
