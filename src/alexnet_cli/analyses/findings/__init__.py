"""Whether common claims about an architecture hold for a model: small rules, each with a code."""
