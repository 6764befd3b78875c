"""What a prompt or a token of a language model costs: its cache, its experts, what it moves and the time at least."""
