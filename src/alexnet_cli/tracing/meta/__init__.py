"""What the `meta` device lacks: cheap shape rules, checks of arguments, and stand-ins for real kernels."""
