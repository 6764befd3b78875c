"""What each operator does to what is seen, by its name without the underscore of the in-place variants."""
