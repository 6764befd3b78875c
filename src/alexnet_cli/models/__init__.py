"""The AlexNet family: one variant a file, and the catalogue that finds them."""
