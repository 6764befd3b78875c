"""One model and how to run it: the only way from a target, or a live module, to reports."""
