"""The sections of a page about one model, one a file."""
