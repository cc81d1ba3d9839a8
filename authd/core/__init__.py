"""Decides, and touches nothing: no clock, file, randomness or third party in here."""
