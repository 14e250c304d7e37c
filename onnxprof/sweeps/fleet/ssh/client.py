"""Machines that are reached over ssh: a worker there for each device, and nothing that listens.

asyncssh is the client: keys, agent, `~/.ssh/config` and `~/.ssh/known_hosts` are the user's own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import shlex
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from onnxprof.errors import FleetError
from onnxprof.sweeps.fleet.near.addresses import SshAddress
from onnxprof.sweeps.fleet.near.calls import Pulse, Sent, greet
from onnxprof.sweeps.fleet.wire.frames import Frame, encoded
from onnxprof.sweeps.fleet.wire.lines import Heard
from onnxprof.sweeps.fleet.wire.survey import Survey
from onnxprof.sweeps.places import PlaceLostError

T = TypeVar("T")
_CHUNK = 1 << 16
_CONNECT_S = 20.0
#: Before the worker has greeted.
_UNKNOWN = Survey("", "")
_CLOSING_S = 5.0
#: Of a shell that does not know the command.
_NOT_FOUND = 127
_INSTALL = "Install onnxprof there, or say where it is: ssh://USER@HOST/PATH/TO/onnxprof"


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Loop:
    """asyncio in a thread of its own, for callers that block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T], seconds: float | None = None) -> T:
        """The result of a coroutine; TimeoutError after so many seconds."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError from None
        except BaseException:
            future.cancel()
            raise

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside others; it is cancelled when the loop closes."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Callable[[], object]) -> None:
        """Call a function in the thread, soon."""
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        """Cancel what runs and stop the thread."""
        with suppress(TimeoutError):
            self.wait(_cancel_others(), _CLOSING_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSING_S)


@dataclass(slots=True)
class SshLine:
    """One worker on a machine."""

    node: str
    process: Any
    loop: Loop
    pulse: Pulse
    heard: Heard
    errors: deque[str]
    """What the far side printed last."""
    survey: Survey = _UNKNOWN
    has_crashed: bool = False
    """The worker ended while the connection held."""

    def send(self, frame: Frame) -> None:
        """Send a message; blocks while the other end takes no more."""
        try:
            self.loop.wait(self._write(encoded(frame)), self.pulse.silence_s)
        except (OSError, TimeoutError, asyncio.CancelledError):
            raise PlaceLostError("takes no more messages", where=self.node) from None

    def next(self) -> Frame:
        """The next message."""
        return self.heard.next()

    def attend(self) -> None:
        """Beat from now on, and hold the worker to its own beats."""
        self.heard.silence_s = self.pulse.silence_s
        self.loop.start(self.beat())

    def close(self) -> None:
        """Close the worker's stdin, upon which it ends what it does."""
        with suppress(OSError, TimeoutError, RuntimeError):
            self.loop.wait(self._close(), _CLOSING_S)

    async def _write(self, data: bytes) -> None:
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def _close(self) -> None:
        self.process.close()

    async def beat(self) -> None:
        """Say that this end is still there, until the channel is closed."""
        with suppress(OSError):
            while not self.process.is_closing():
                await self._write(encoded(Frame("beat")))
                await asyncio.sleep(self.pulse.beat_s)

    async def listen(self) -> None:
        """Collect what comes."""
        reason = "its connection broke"
        try:
            while data := await self.process.stdout.read(_CHUNK):
                self.heard.add(data)
            await asyncio.wait_for(self.process.wait_closed(), _CLOSING_S)
            reason = self._ending()
        except (OSError, TimeoutError) as error:
            reason = f"its connection broke ({error})" if str(error) else reason
        finally:
            self.heard.over(reason)

    async def complain(self) -> None:
        """Keep the last lines of the far stderr, to be shown with an error."""
        with suppress(OSError):
            async for line in self.process.stderr:
                text = line.decode("utf-8", "replace").strip()
                if text:
                    self.errors.append(text[:200])

    def _ending(self) -> str:
        status, said = self.process.exit_status, self.errors[-1] if self.errors else ""
        if status is None:
            return "its connection broke"
        self.has_crashed = status not in (0, _NOT_FOUND)
        signal = self.process.exit_signal
        what = f"its worker ended with {f'SIG{signal[0]}' if signal else status}"
        what = "has no such command" if status == _NOT_FOUND else what
        return f"{what} ({said})" if said else what


@dataclass(slots=True)
class SshNode:
    """A machine, connected when it is needed."""

    address: SshAddress
    backends: tuple[str, ...]
    loop: Loop
    pulse: Pulse = field(default_factory=Pulse)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of asyncssh's `connect`."""
    sent: Sent = field(default_factory=Sent)
    _connection: Any = None
    _connecting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """The machine in events and records."""
        return self.address.node

    def worker(self) -> SshLine:
        """A new worker, greeted.

        Raises PlaceLostError where the machine cannot be reached, FleetError where it is not to be
        trusted or has no onnxprof of this kind.
        """
        with self._connecting:
            if self._connection is None or self._connection.is_closed():
                self._connection = self.loop.wait(self._connect())
        line = self._start()
        try:
            line.survey = greet(line, self.name, self.backends, self.pulse)
        except PlaceLostError as error:
            line.close()
            if line.process.exit_status == _NOT_FOUND:
                raise FleetError(error.what, where=self.name, remedy=_INSTALL) from None
            raise
        line.attend()
        return line

    def drop(self, line: SshLine) -> None:
        """Close a line that is of no use; with it the connection, where that fell silent."""
        connection = line.process.get_extra_info("connection")
        is_silent = not line.heard.has_ended
        line.close()
        if is_silent and connection is not None:
            self.loop.call(connection.abort)

    def close(self) -> None:
        """Disconnect; workers end with it."""
        if self._connection is not None:
            with suppress(OSError, TimeoutError, RuntimeError):
                self.loop.wait(self._disconnect(), _CLOSING_S)

    async def _disconnect(self) -> None:
        self._connection.close()
        await self._connection.wait_closed()

    def _start(self) -> SshLine:
        try:
            return self.loop.wait(self._started(), _CONNECT_S)
        except (OSError, TimeoutError) as error:
            raise PlaceLostError(f"starts no worker ({error})", where=self.name) from None

    async def _started(self) -> SshLine:
        process = await self._connection.create_process(self.address.command, encoding=None)
        line = SshLine(self.name, process, self.loop, self.pulse, Heard(self.name), deque(maxlen=5))
        self.loop.start(line.listen())
        self.loop.start(line.complain())
        return line

    async def _connect(self) -> Any:
        import asyncssh

        given: dict[str, Any] = {"connect_timeout": _CONNECT_S, "login_timeout": _CONNECT_S}
        given |= {"keepalive_interval": self.pulse.beat_s, "keepalive_count_max": 6}
        given |= {"username": self.address.user} if self.address.user else {}
        given |= {"port": self.address.port} if self.address.port else {}
        try:
            return await asyncssh.connect(self.address.host, **(given | dict(self.options)))
        except asyncssh.HostKeyNotVerifiable:
            raise _untrusted(self.name, self.options, self.address) from None
        except asyncssh.PermissionDenied as error:
            raise FleetError(
                f"lets nobody in with the keys that are here ({error.reason})",
                where=self.name,
                remedy=f"Try `ssh {self.address.host}`, and put your key there with ssh-copy-id",
            ) from None
        except (OSError, TimeoutError, asyncssh.Error) as error:
            why = str(error) or "no answer"
            raise PlaceLostError(f"cannot be reached ({why})", where=self.name) from None


def _untrusted(node: str, options: Mapping[str, Any], address: SshAddress) -> FleetError:
    """The error for a host key that is unknown, or not the one that was known."""
    import asyncssh

    place = options.get("known_hosts") or Path.home() / ".ssh" / "known_hosts"
    try:
        known = any(
            asyncssh.match_known_hosts(str(place), address.host, "", address.port or 22)[:2]
        )
    except (OSError, ValueError):
        known = False
    port = f"-p {address.port} " if address.port else ""
    if not known:
        return FleetError(
            f"its host key is not in {place}",
            where=node,
            remedy=f"Run `ssh {port}{address.host}` once and compare the fingerprint",
        )
    named = f"[{address.host}]:{address.port}" if address.port else address.host
    return FleetError(
        f"its host key has changed: it is not the one in {place}. Nothing was sent to it",
        where=node,
        remedy="Another machine may be answering in its place. If it was set up anew, run"
        f" `ssh-keygen -R {shlex.quote(named)}` and `ssh {port}{address.host}` once",
    )
