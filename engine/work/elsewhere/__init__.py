"""Runs beyond one process on one machine: a choice of executors, several devices, folders that are no shared path."""
