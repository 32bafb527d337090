"""`attneval curve`: precision, recall and F1 over thresholds."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from attneval.cli.options import SETTINGS, Output, output_options
from attneval.cli.settings import config_option
from attneval.cli.values import FILE

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ("table", "plain", "json", "csv", "markdown")


@click.command(context_settings=SETTINGS)
@click.argument("results", type=FILE, nargs=-1, required=True)
@output_options(*FORMATS)
@config_option
def curve(results: tuple[Path, ...], **values: Any) -> None:
    """Show precision, recall and F1 of RESULTS over the thresholds of their rule; F1 alone for several results."""
    from attneval.report.curve import curve_csv, curve_dict, curve_page, curve_text
    from attneval.results.comparability import check_protocols, distinct
    from attneval.results.result import Result

    output = Output(values, *FORMATS, inputs=results)
    loaded = [Result.load(path) for path in results]
    names = distinct([result.name for result in loaded], list(map(str, results)))
    found = [dataclasses.replace(result, name=name) for name, result in zip(names, loaded, strict=True)]
    check_protocols([(result.name, result) for result in found])

    def text_in(style: str) -> str | None:
        if style == "json":
            return json.dumps(curve_dict(found), allow_nan=False, ensure_ascii=False) + "\n"
        return curve_csv(found) if style == "csv" else None

    output.emit(text_in, lambda: curve_page(found, output.digits), before=lambda: curve_text(found))
