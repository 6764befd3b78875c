"""Architectures that people run, and whether the program is right about them: `make zoo`."""
