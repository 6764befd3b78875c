"""Checkpoints as targets: which tensors a file holds, without loading their values or running any code in it."""
