"""Measurements, run by hand: they print what this machine does, and assert nothing about time."""
