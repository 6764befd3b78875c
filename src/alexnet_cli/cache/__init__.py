"""Answers that were traced before, kept in the user's cache folder: no torch is needed to give them again."""
