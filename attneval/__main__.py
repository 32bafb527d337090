"""`attneval` and `python -m attneval`: the command line with its exit codes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click

from attneval.cli import run, stdout_written
from attneval.errors import EXIT_BROKEN_PIPE, EXIT_CANNOT_EVALUATE, EXIT_INTERRUPTED, EXIT_OK, AttnevalError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

LONGEST_ERROR = 500
"""Characters that are shown of an internal error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done or gate passed; 1 gate failed; 2 could not evaluate; 130 interrupted; 141 broken pipe.
    """
    try:
        code = run(arguments)
        with stdout_written():
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
    except Exception as error:  # noqa: BLE001 - what nobody thought of is told, and has an exit code too
        if "-v" in (arguments or sys.argv) or "--verbose" in (arguments or sys.argv):
            import traceback  # 3 ms that hardly anyone needs

            traceback.print_exc()
        else:
            _complain(f"internal error: {_brief(error)}", "please report it with the traceback that -v shows")
        return EXIT_CANNOT_EVALUATE
    return code if isinstance(code, int) else EXIT_OK


def entry() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # Streams that the caller has closed are None, which nothing expects.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    code = main()
    if sys.gettrace() is None and sys.getprofile() is None:
        # Taking every module and array apart first would take the interpreter 20 ms.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # it has been told, or there is nobody to tell
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for as long as the process lives


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
    with suppress(OSError):  # the exit code says it too
        print(f"error: {text}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)  # noqa: T201


def _brief(error: Exception) -> str:
    """What an error says of itself; some hold all of what they are about."""
    text = repr(error)
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."


if __name__ == "__main__":
    entry()
