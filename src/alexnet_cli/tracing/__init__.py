"""One forward of a model, recorded as a `Report`."""
