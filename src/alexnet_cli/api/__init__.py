"""The Python API: one call, then a method for each question."""
