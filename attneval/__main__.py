"""`attneval` and `python -m attneval`: the command line with its exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from attneval.cli import run
from attneval.errors import EXIT_BROKEN_PIPE, EXIT_CANNOT_EVALUATE, EXIT_INTERRUPTED, EXIT_OK, AttnevalError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done or gate passed; 1 gate failed; 2 could not evaluate; 130 interrupted; 141 broken pipe.
    """
    try:
        code = run(arguments)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _complain(error.format_message(), _usage_hint(error))
        return EXIT_CANNOT_EVALUATE
    except AttnevalError as error:
        _complain(error.message, error.hint)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return _broken_pipe()
    except SystemExit as stop:
        # Left alone click exits for two reasons: completion, and a broken pipe, for which it uses the code of gates.
        if "_ATTNEVAL_COMPLETE" in os.environ or stop.code != 1:
            raise
        return _broken_pipe()
    except Exception as error:
        if "-v" in (arguments or sys.argv) or "--verbose" in (arguments or sys.argv):
            raise
        _complain(f"internal error: {error!r}", "please report it with the traceback that -v shows")
        return EXIT_CANNOT_EVALUATE
    return code if isinstance(code, int) else EXIT_OK


def entry() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    code = main()
    if sys.gettrace() is None and sys.getprofile() is None:
        # Taking every module and array apart first would take the interpreter 20 ms.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _broken_pipe() -> int:
    """Nothing reads stdout any more: what is left in its buffer must not be flushed at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
    return EXIT_BROKEN_PIPE


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context is not None else ""


def _complain(message: str, hint: str) -> None:
    from attneval.report.table import safe

    text = safe(f"{message.rstrip('.')}; {hint}" if hint else message)
    encoding = sys.stderr.encoding or "ascii"
    print(f"error: {text}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    entry()
