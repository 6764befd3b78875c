"""What operators do to what units see: a rule for each ATen operator, by name.

`step` is what a rule is given. In the tables a rule may stand under several names, separated by blanks.
"""

from __future__ import annotations

from alexnet_cli.analyses.receptive_field.rules.joins import JOINS, PRODUCTS
from alexnet_cli.analyses.receptive_field.rules.sums import SUMS
from alexnet_cli.analyses.receptive_field.rules.views import VIEWS
from alexnet_cli.analyses.receptive_field.rules.windows import WINDOWS
from alexnet_cli.analyses.receptive_field.step import Rule

RULES: dict[str, Rule] = {
    name: rule
    for table in (VIEWS, JOINS, WINDOWS, SUMS, PRODUCTS)
    for names, rule in table.items()
    for name in names.split()
}
