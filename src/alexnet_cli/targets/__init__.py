"""Targets: from what the user names to a model that can be traced, or to a saved report."""
