"""Whether what people say about an architecture is true of a model: small rules, each with a code."""
