"""Answers drawn from a report, one question a module. No torch here."""
