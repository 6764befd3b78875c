"""How much of the input each layer sees: the receptive field, followed operator by operator through the tape.

`fields` answers for a report. `reach` is the arithmetic along one input axis, `seen` what the units of a value see,
`moves` how that changes along an axis, and `follow` applies the rules of `rules` to one operator after the other.
"""
