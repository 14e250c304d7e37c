"""The command line: parses, calls, prints; no logic."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli import loudness
from onnxprof.cli.completing.scripts import ASKED
from onnxprof.cli.lazy import InterruptedCommandError, Lazy, lazy_group, member
from onnxprof.cli.output import abandon_stdout, adapt_streams
from onnxprof.model.collector import unhurried

if TYPE_CHECKING:
    from onnxprof.errors import OnnxprofError

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
        "Measure what a device sustains: arithmetic, memory, calls.",
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
    "gate": Lazy(
        "onnxprof.cli.commands.gate", "gate", "Stop a change that makes a model slower, in CI."
    ),
    "align": Lazy(f"{_STORED}.align", "align", "Put runs side by side, layer by layer."),
    "scaling": Lazy(
        f"{_STORED}.scaling",
        "scaling",
        "Say which batch size is worth it, and why.",
    ),
    "phases": Lazy(
        f"{_STORED}.phases",
        "phases",
        "Put prefill and decode side by side, and say how layers grow.",
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
    "report": Lazy(
        "onnxprof.cli.commands.report", "report", "Write runs as one page to send, for any browser."
    ),
    "export": Lazy(
        "onnxprof.cli.commands.export", "export", "Make an ONNX file of a network, checked."
    ),
    "zoo": Lazy("onnxprof.cli.commands.zoo", "app", "The networks that come with onnxprof."),
    "worker": Lazy(
        "onnxprof.cli.commands.worker", "worker", "Measure what another machine's sweep sends."
    ),
    "doctor": Lazy("onnxprof.cli.commands.doctor", "doctor", "Say what works on this machine."),
    "completion": Lazy(
        "onnxprof.cli.commands.completion", "completion", "Print a shell's script for completion."
    ),
    "schema": Lazy(
        "onnxprof.cli.commands.schema", "schema", "Print the JSON Schema of what --json prints."
    ),
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
    verbose: Annotated[
        int,
        typer.Option(
            *("--verbose", "-v"), count=True, show_default=False, help="Say what is going on."
        ),
    ] = 0,
    quiet: Annotated[
        int,
        typer.Option(
            *("--quiet", "-q"), count=True, show_default=False, help="Say less; -qq: errors alone."
        ),
    ] = 0,
) -> None:
    """Where a network's time goes: per-layer inference times of ONNX models that add up."""
    del version
    loudness.before_command(verbose, quiet)
    if debug:
        os.environ["ONNXPROF_DEBUG"] = "1"


def main() -> None:
    """Run a command and exit.

    Exit codes: 0 success, 1 a negative result, 2 bad use or input, 130 interrupted; after SIGTERM
    or SIGHUP 128 and the signal's number; 141 where nobody reads the output any more.
    """
    if ASKED in os.environ:
        from onnxprof.cli.completing.asked import respond

        sys.exit(respond(typer.main.get_command(app), member))
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
        return _called(arguments)
    except (BrokenPipeError, SystemExit):  # typer exits with 1 where nobody reads its output
        abandon_stdout()
        return _UNREAD


def _called(arguments: list[str]) -> int:
    """Run a command; with --json an error leaves a document on stdout, too."""
    try:
        code = _exit_code(app(arguments, standalone_mode=False, prog_name="onnxprof"))
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except (BrokenPipeError, SystemExit):
        raise
    except (KeyboardInterrupt, Exception) as error:
        if _is_unread(error):
            raise BrokenPipeError from error
        fault = _fault(error)
        _report(error, fault)
        if "--json" in arguments:
            with suppress(OSError):  # where stdout is what is wrong, stderr has said it
                _print_document(fault)
        _spare_stdout()
        return fault.code


def _spare_stdout() -> None:
    """What cannot be written to stdout, as on a full disk, is not tried again at the end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        abandon_stdout()


def _is_unread(error: BaseException) -> bool:
    """Whether the reader of stdout is gone, for which Windows has an error of its own."""
    if not isinstance(error, OSError) or error.filename:
        return False
    return error.errno == errno.EPIPE or (sys.platform == "win32" and error.errno == errno.EINVAL)


@dataclass(frozen=True, slots=True)
class _Fault:
    """What went wrong, as it is told, and the exit code."""

    text: str
    code: int = 2
    what: str = ""
    where: str = ""
    remedy: str = ""
    is_help: bool = False


def _fault(error: BaseException) -> _Fault:
    """What an exception means to a user. Unknown ones are reported as bugs."""
    from onnxprof.errors import OnnxprofError

    if isinstance(error, OnnxprofError):
        error.remedy = _hint(error) + error.remedy
        return _Fault(str(error), error.exit_code, error.what, error.where, error.remedy)
    kind = type(error).__name__
    if isinstance(error, KeyboardInterrupt | InterruptedCommandError) or kind == "Abort":
        return _Fault("interrupted", _INTERRUPTED)
    if isinstance(error, OSError):
        return _Fault(_of_system(error), where=str(error.filename or ""))
    if kind == "NoArgsIsHelpError":
        return _Fault(str(error), what="no command or argument is given", is_help=True)
    shown = getattr(error, "format_message", None)
    if shown is not None:
        return _Fault(_helpful(shown().replace(": Value error, ", ": "), error))
    return _Fault(f"bug in onnxprof: {kind}: {error} (see --debug)")


def _hint(error: OnnxprofError) -> str:
    """What is meant by the name of a network of the zoo where a run is looked for."""
    from onnxprof.errors import NoRunError

    if not isinstance(error, NoRunError):
        return ""
    from onnxprof.zoo.catalogue import titles

    name = error.where.partition(" ")[0].lower()
    return (
        ""
        if name not in titles()
        else f"Did you mean the model zoo:{name}, or runs of it, --model {name}? "
    )


def _helpful(message: str, error: BaseException) -> str:
    """The message of a wrong use, with the command whose help has what is allowed."""
    context = getattr(error, "ctx", None)
    if close := sorted(getattr(error, "possibilities", None) or ()):
        named = getattr(error, "message", message)
        return f"{named}. Did you mean {' or '.join(close)}?"
    if context is None or "Did you mean" in message:
        return message
    return f"{message.rstrip('.')}. See {context.command_path} --help"


def _print_document(fault: _Fault) -> None:
    """The document of an error, on one line."""
    from onnxprof.publish.json.documents import error, line

    made = error(fault.what or fault.text, fault.code, fault.where, fault.remedy)
    print(line(made), end="")
    sys.stdout.flush()


def _exit_code(result: object) -> int:
    return result if isinstance(result, int) else 0


def _of_system(error: OSError) -> str:
    from onnxprof.writing import is_full

    if is_full(error):
        place = error.filename or "the output"
        return f"{place}: cannot be written: no space is left there. Free some, or write elsewhere"
    return f"{error.filename}: {error.strerror or error}" if error.filename else str(error)


def _report(error: BaseException, fault: _Fault) -> None:
    if os.environ.get("ONNXPROF_DEBUG") and fault.code != _INTERRUPTED:
        import traceback

        traceback.print_exception(error)
    if fault.is_help:
        print(fault.text, file=sys.stderr)
    else:
        _say(fault.text)


def _say(message: str) -> None:
    """Print one line on stderr, with control characters (from untrusted files) escaped."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    print(f"onnxprof: {text.encode('utf-8', 'backslashreplace').decode()}", file=sys.stderr)
