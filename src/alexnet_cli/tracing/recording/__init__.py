"""Watch a run: the modules, functions and operators that ran, and what becomes of them in the report."""
