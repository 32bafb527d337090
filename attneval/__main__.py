"""`attneval` and `python -m attneval`: the command line with its exit codes."""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click

from attneval.cli import process, run
from attneval.cli.streams import stdout_written
from attneval.errors import EXIT_BROKEN_PIPE, EXIT_CANNOT_EVALUATE, EXIT_INTERRUPTED, EXIT_OK, AttnevalError

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_ERROR = 500
"""Characters that are shown of an internal error."""
LONGEST_MESSAGE, LONGEST_WORD = 1500, 200
"""Characters that are shown of a refusal, and of a word in it, which may be a value of a file."""
_MEMORY = ("there is not enough memory", "fewer --jobs need less")
SHORT_OF_MEMORY = (
    *("can't start new thread", "failed to map segment", "cannot allocate memory", "can't allocate memory"),
    *("not enough memory", "returned null without setting an exception", "error return without exception set"),
)
"""What libraries say of it that raise no MemoryError: threads, extension modules, torch."""


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
    except AttnevalError as error:
        _complain(error.message, error.hint)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        process.drop_unread_output()
        return EXIT_BROKEN_PIPE
    except SystemExit as stop:
        # Left alone click exits for two reasons: completion, and a broken pipe, for which it uses the code of gates.
        if "_ATTNEVAL_COMPLETE" in os.environ:
            return EXIT_OK if stop.code in {None, EXIT_OK} else EXIT_CANNOT_EVALUATE
        process.drop_unread_output()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        _complain(*_MEMORY if error.errno == errno.ENOMEM else (_system_error(error),))
    except MemoryError:
        _complain(*_MEMORY)
    except RecursionError:
        _complain("something in the input is nested too deeply to be read")
    except Exception as error:  # noqa: BLE001 - what nobody thought of has an exit code, too
        if _lacks_memory(error):
            _complain(*_MEMORY)
        elif "-v" in (arguments or sys.argv) or "--verbose" in (arguments or sys.argv):
            import traceback  # 3 ms that hardly anyone needs

            traceback.print_exc()
        else:
            _complain(f"internal error: {_brief(error)}", "please report it with the traceback that -v shows")
    else:
        return code if isinstance(code, int) else EXIT_OK
    return EXIT_CANNOT_EVALUATE


def entry() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    process.open_closed_streams()
    try:
        code = main()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BaseException:  # noqa: BLE001 - not even enough memory to say what happened: Python's code is that of gates
        code = EXIT_CANNOT_EVALUATE
    process.end(code)


def _system_error(error: OSError) -> str:
    """The file and the system's reason."""
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{error.filename}: {reason}"
    try:
        os.getcwd()  # noqa: PTH109 - the very call that failed
    except OSError:
        return "the working directory does not exist any more"
    try:
        sys.stdout.flush()
    except OSError:
        return f"stdout cannot be written ({reason})"
    return f"the system refuses: {reason}"


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context is not None else ""


def _complain(message: str, hint: str = "") -> None:
    from attneval.report.table import safe

    text = safe(_shortened(f"{message.rstrip('.')}; {hint}" if hint else message))
    encoding = sys.stderr.encoding or "ascii"
    with suppress(OSError):  # the exit code says it, too
        print(f"error: {text}".encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr)  # noqa: T201


def _lacks_memory(error: BaseException | None) -> bool:
    """Tell whether an error comes of memory that is short; libraries turn one error into another."""
    while error is not None:
        if isinstance(error, MemoryError) or any(text in str(error).lower() for text in SHORT_OF_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _shortened(text: str) -> str:
    """A text without the middle of what is too long, which some file made so."""
    text = re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: f"{word[0][:80]} ... {word[0][-40:]}", text)
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 400]} ... {text[-400:]}"


def _brief(error: Exception) -> str:
    """An error in brief; some hold all of what they are about."""
    text = repr(error)
    return text if len(text) <= LONGEST_ERROR else f"{text[:LONGEST_ERROR]}..."


if __name__ == "__main__":
    entry()
