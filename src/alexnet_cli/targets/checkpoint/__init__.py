"""Checkpoints as targets: which tensors a file holds, without loading their values or running anything in it."""
