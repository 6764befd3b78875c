"""How much of the input each layer sees: the receptive field, followed operator by operator through the tape.

`fields` answers for a report. `reach` holds the arithmetic of one input axis, `seen` what the units of a value see,
`follow` carries that through the operators by the rules of `rules`.
"""
