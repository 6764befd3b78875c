"""What each command answers, one command a file: its JSON, the page that shows it, and how it ended.

The command line and the Python API ask here.
"""
