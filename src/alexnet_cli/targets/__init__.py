"""From a target as the user types it to something that can be traced, or to a saved report."""
