"""The command line: parses, calls, prints; no logic."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated

import typer

from onnxprof.cli.lazy import InterruptedCommandError, Lazy, lazy_group
from onnxprof.cli.output import abandon_stdout, adapt_streams
from onnxprof.model.collector import unhurried

_INTERRUPTED = 130
#: 128 and the number of SIGPIPE, as a shell has it.
_UNREAD = 141
_STORED = "onnxprof.cli.commands.stored"
_LOAD = "onnxprof.cli.commands.load"
COMMANDS = {
    "inspect": Lazy(
        "onnxprof.cli.commands.inspect", "inspect", "List a model's layers and their shapes."
    ),
    "profile": Lazy(
        "onnxprof.cli.commands.profile", "profile", "Time every layer at each batch size."
    ),
    "sweep": Lazy(
        "onnxprof.cli.commands.sweeping.app", "app", "Measure what a plan lists, and resume it."
    ),
    "provenance": Lazy(
        "onnxprof.cli.commands.provenance", "provenance", "Check which layers each step computed."
    ),
    "optimized": Lazy(
        "onnxprof.cli.commands.optimised",
        "optimized",
        "Show what a runtime made of a model, step by step.",
    ),
    "ceilings": Lazy(
        "onnxprof.cli.commands.reasons.ceilings",
        "ceilings",
        "Measure what a device sustains at most: arithmetic, memory, calls.",
    ),
    "scenario": Lazy(
        f"{_LOAD}.scenario", "scenario", "Put a model under load with MLCommons' LoadGen."
    ),
    "scenarios": Lazy(
        f"{_LOAD}.scenarios", "app", "List and show loads, and systems against models."
    ),
    "runs": Lazy(
        f"{_STORED}.runs", "app", "List, show, export, tag, merge, remove what was measured."
    ),
    "compare": Lazy(
        f"{_STORED}.compare",
        "compare",
        "Say what got slower, faster or stayed the same.",
    ),
    "align": Lazy(f"{_STORED}.align", "align", "Put runs side by side, layer by layer."),
    "scaling": Lazy(
        f"{_STORED}.scaling",
        "scaling",
        "Say which batch size is worth it, and why.",
    ),
    "advise": Lazy(
        "onnxprof.cli.commands.reasons.advise",
        "advise",
        "Say what to change, and what that would gain.",
    ),
    "repro": Lazy(
        "onnxprof.cli.commands.reasons.repro",
        "repro",
        "Write a step as a model with a script to run it.",
    ),
    "site": Lazy(
        "onnxprof.cli.commands.site", "app", "Publish what was measured as a static site."
    ),
    "export": Lazy(
        "onnxprof.cli.commands.export", "export", "Make an ONNX file of a network, checked."
    ),
    "zoo": Lazy("onnxprof.cli.commands.zoo", "app", "The networks that come with onnxprof."),
    "worker": Lazy(
        "onnxprof.cli.commands.worker", "worker", "Measure what another machine's sweep sends."
    ),
    "doctor": Lazy("onnxprof.cli.commands.doctor", "doctor", "Say what works on this machine."),
}

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from onnxprof import __version__

        typer.echo(f"onnxprof {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option(help="Show a traceback with an error.")] = False,
) -> None:
    """Where a network's time goes: per-layer inference times of ONNX models that add up."""
    del version
    if debug:
        os.environ["ONNXPROF_DEBUG"] = "1"


def main() -> None:
    """Run a command and exit.

    Exit codes: 0 success, 1 a negative result, 2 bad use or input, 130 interrupted; after SIGTERM
    or SIGHUP 128 and the signal's number.
    """
    adapt_streams()
    ended_by = _heed_signals()
    with unhurried():
        code = _run(sys.argv[1:])
    if ended_by and code == _INTERRUPTED:
        _leave(128 + ended_by[0])
    if code == _INTERRUPTED:
        _leave(code)
    gc.freeze()  # the process ends: what it still holds need not be searched for cycles
    sys.exit(code)


def _heed_signals() -> list[int]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, so that they clean up as Ctrl-C does.

    Returns a list to which a received signal is appended. A signal that is ignored stays so, as
    SIGHUP under nohup.
    """
    ended_by: list[int] = []

    def interrupt(number: int, _: object) -> None:
        ended_by.append(number)
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)
    return ended_by


def _leave(code: int) -> None:
    """Exit at once with this code.

    CPython would kill itself by the signal where the interrupt, though caught, hit code run by
    exec(), as while a module with dataclasses is imported.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)
    from onnxprof.processes import scratch

    scratch.clear()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _run(arguments: list[str]) -> int:
    try:
        code = _exit_code(app(arguments, standalone_mode=False, prog_name="onnxprof"))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (KeyboardInterrupt, InterruptedCommandError):
        _say("interrupted")
        return _INTERRUPTED
    except (BrokenPipeError, SystemExit):  # typer exits with 1 where nobody reads its output
        abandon_stdout()
        return _UNREAD
    except OSError as error:
        return _report(error, _of_system(error), 2)
    except Exception as error:
        return _of_exception(error)


def _of_exception(error: Exception) -> int:
    """Print an error's message; returns the exit code. Unknown exceptions are reported as bugs."""
    from onnxprof.errors import OnnxprofError

    if isinstance(error, OnnxprofError):
        return _report(error, str(error), error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error, file=sys.stderr)
        return 2
    shown = getattr(error, "format_message", None)
    if shown is not None:
        return _report(error, shown(), 2)
    if type(error).__name__ == "Abort":
        _say("interrupted")
        return _INTERRUPTED
    return _report(error, f"bug in onnxprof: {type(error).__name__}: {error} (see --debug)", 2)


def _exit_code(result: object) -> int:
    return result if isinstance(result, int) else 0


def _of_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _report(error: BaseException, message: str, code: int) -> int:
    if os.environ.get("ONNXPROF_DEBUG"):
        import traceback

        traceback.print_exception(error)
    _say(message)
    return code


def _say(message: str) -> None:
    """Print one line on stderr, with control characters (from untrusted files) escaped."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    print(f"onnxprof: {text.encode('utf-8', 'backslashreplace').decode()}", file=sys.stderr)
