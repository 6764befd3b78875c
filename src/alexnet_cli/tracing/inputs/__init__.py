"""The inputs of a model: making them, and finding some that fit."""
