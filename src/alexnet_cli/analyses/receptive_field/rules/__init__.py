"""What operators do to what units see: a rule for each ATen operator, by name.

`step` is what a rule is given, `named` how several operators share one.
"""

from __future__ import annotations

from alexnet_cli.analyses.receptive_field.rules.joins import JOINS, PRODUCTS
from alexnet_cli.analyses.receptive_field.rules.sums import SUMS
from alexnet_cli.analyses.receptive_field.rules.views import VIEWS
from alexnet_cli.analyses.receptive_field.rules.windows import INTERPOLATION, WINDOWS
from alexnet_cli.analyses.receptive_field.step import Rule

RULES: dict[str, Rule] = {**VIEWS, **JOINS, **WINDOWS, **INTERPOLATION, **SUMS, **PRODUCTS}
"""Operators that move elements, put values together, slide windows, resize, sum along axes, multiply matrices."""
