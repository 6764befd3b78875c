"""How what a model computes, moves and holds grows with the sizes of its inputs, as exact polynomials."""
