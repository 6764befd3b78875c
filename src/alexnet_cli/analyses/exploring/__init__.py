"""What `explore` walks through: the tree of a model or checkpoint, its numbers by row, and their treemap."""
