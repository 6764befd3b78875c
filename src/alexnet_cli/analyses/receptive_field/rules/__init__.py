"""What operators do to what units see: a rule for each ATen operator, by name.

`step` is what a rule is given. In the tables a rule may stand under several names, separated by blanks.
"""
