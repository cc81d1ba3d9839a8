"""Devices, people and faults made of software: an authentication bypass, so never on a counter terminal."""
