"""How a training step is made to fit: the blocks that could be run again, and the best choice of them."""
