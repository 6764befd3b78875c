"""What torch's `meta` device lacks: cheap shape rules, argument checks, and stand-ins for real kernels."""
