"""Earlier answers, kept in the user's cache folder: giving them again needs no torch."""
