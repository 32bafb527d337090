"""`attneval gate`: rules that a result must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attneval.cli.channels import of_channel
from attneval.cli.command import Command, option
from attneval.cli.github import github_option, tell_github
from attneval.cli.options import SETTINGS, across_regions_option, channel_option, rule_option
from attneval.cli.output import Output, output_options
from attneval.cli.settings import config_option
from attneval.cli.streams import tell
from attneval.cli.values import FILE
from attneval.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from attneval.results.gate import Verdict
    from attneval.results.result import Result


@click.command(
    cls=Command,
    context_settings=SETTINGS,
    examples=(
        "attneval gate result.json --min f1=0.3 -o report.xml",
        "attneval gate result.json --baseline main.json --max-drop f1=2%",
    ),
)
@click.argument("result", type=FILE)
@rule_option("min", "Metric M must be at least V. Repeatable.", group="Input")
@rule_option("max", "Metric M must be at most V.", group="Input")
@rule_option("max-drop", "M may be at most V worse than the baseline.", metavar="M=V[%]", group="Input")
@option("--baseline", type=FILE, group="Input", help="The result that drops are measured from.")
@channel_option()
@across_regions_option
@option("--only-significant", is_flag=True, group="Protocol", help="Drops within chance do not fail.")
@option("--update-baseline", is_flag=True, group="Output", help="Make RESULT the baseline; no rule is applied.")
@option("--exit-zero", is_flag=True, group="Output", help="Exit with 0 even if a rule is broken.")
@github_option()
@output_options("gate")
@config_option
def gate(result: Path, **values: Any) -> int:
    """Apply rules to a RESULT file: exit with 1 if one is broken, with 2 if that cannot be decided.

    Rules come from the flags and, where no flag names a rule, from the configuration's table [gate].
    """
    from attneval.results.gate import gate as run
    from attneval.results.result import Result

    output = Output(values, "gate", inputs=[result])
    loaded = Result.load(result)
    if values["update_baseline"]:
        # All channels of it, whichever is asked for: the next gate may ask for another.
        return _update(loaded, result, values["baseline"], quiet=output.quiet)
    rules = [*values["min"], *values["max"], *values["max_drop"]]
    loaded = of_channel(loaded, values["channel"])
    baseline = None
    if values["baseline"] is not None:
        baseline = of_channel(Result.load(values["baseline"]), values["channel"])
    verdict = run(
        loaded,
        rules,
        baseline,
        only_significant=values["only_significant"],
        across_regions=values["across_regions"],
    )
    if not output.quiet:
        for note in verdict.notes:
            tell(f"note: {note}")
    tell_github(verdict, values["github"], output)
    _emit(verdict, output)
    return EXIT_OK if values["exit_zero"] else verdict.exit_code


def _update(result: Result, path: Path, baseline: Path | None, *, quiet: bool) -> int:
    from attneval.errors import MismatchError
    from attneval.results.result import items_path

    if baseline is None:
        raise ConfigError("--update-baseline needs --baseline FILE")
    if result.partial:
        raise MismatchError(
            f"{result.name} is PARTIAL ({result.partial_by}) and is no baseline", hint="score all images"
        )
    result.save(baseline)
    if path.resolve() != baseline.resolve():
        # They are those of the baseline that was here before.
        items_path(baseline).unlink(missing_ok=True)
    if not quiet:
        tell(f"{baseline} is now {result.name}")
    return EXIT_OK


def _emit(verdict: Verdict, output: Output) -> None:
    from attneval.report.gate import gate_dict, gate_page

    output.emit({"page": lambda: gate_page(verdict), "values": lambda: gate_dict(verdict), "verdict": lambda: verdict})
