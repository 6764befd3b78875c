"""Watches a run: the modules, functions and operators that run, and the rows and tape made from them."""
