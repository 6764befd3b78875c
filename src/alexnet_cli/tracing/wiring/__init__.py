"""What a training step shows about a model's wiring: lines of code, gradients, modes, what grows."""
