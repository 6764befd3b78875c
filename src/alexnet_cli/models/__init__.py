"""The AlexNet family: one variant per file, and the catalogue that finds them."""
