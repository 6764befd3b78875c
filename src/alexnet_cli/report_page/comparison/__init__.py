"""The sections of a page that shows models side by side, one a file."""
