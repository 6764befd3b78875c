"""`alexnet models`."""

from __future__ import annotations

from alexnet_cli.cli import options
from alexnet_cli.cli.output import choose_output
from alexnet_cli.cli.results.models import ModelsResult, listed_models
from alexnet_cli.report_json import generator
from alexnet_cli.views.models import models_document


def models(
    format_name: options.Format = None,
    json: options.Json = False,
    output: options.Output = None,
    width: options.Width = None,
    no_color: options.NoColor = False,
) -> None:
    """List the built-in models."""
    out = choose_output(format_name, output, width, json=json, no_color=no_color)
    listed = listed_models()
    result = ModelsResult(generator=generator(), command="models", models=listed)
    rows = [(model.name, model.input, model.params, model.macs, model.source) for model in listed]
    out.write(result, lambda: models_document(rows))
