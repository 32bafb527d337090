"""Options about base models, which are trained and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import click

from attneval.cli.command import option
from attneval.cli.values import FILE
from attneval.training.choices import ModelName

if TYPE_CHECKING:
    from collections.abc import Callable

    from attneval.cli.options import Command


def model_option(group: str, help: str) -> Callable[[Command], Command]:  # noqa: A002 - the word of every option
    """`--model`: the name of a base model."""
    return option("--model", type=click.Choice(get_args(ModelName)), group=group, help=help)


def data_option(group: str, help: str) -> Callable[[Command], Command]:  # noqa: A002 - the word of every option
    """`--data`: a folder of features."""
    return option("--data", type=FILE, group=group, help=help)
