"""Drivers that ship with authd: one module or package for each kind of device."""
