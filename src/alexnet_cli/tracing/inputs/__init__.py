"""A model's inputs: making them, and finding some that fit."""
