"""Messages, files by digest and their bounds: bad input as much as good."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.errors import FleetError
from onnxprof.sweeps.fleet.wire import bundles
from onnxprof.sweeps.fleet.wire.bundles import Bundle, Packed, Shelf, packed, packed_model
from onnxprof.sweeps.fleet.wire.frames import MOST_LINE, PART, Decoder, Frame, encoded

FACTS = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name not in ("kind", "bytes")),
    st.integers(-9, 9) | st.text(max_size=9),
    max_size=3,
)
FRAMES = st.lists(st.builds(Frame, st.text(max_size=9), FACTS, st.binary(max_size=99)), max_size=4)


@given(FRAMES, st.integers(1, 50))
def test_frames_arrive_however_the_bytes_are_cut(frames: list[Frame], size: int) -> None:
    data = b"".join(map(encoded, frames))
    decoder = Decoder()
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    assert [frame for part in parts for frame in decoder.feed(part)] == frames


@given(st.binary(min_size=1, max_size=200))
def test_what_is_no_message_is_refused_or_waits(data: bytes) -> None:
    try:
        found = list(Decoder().feed(data + b"\n"))
    except FleetError:
        return
    assert all(isinstance(frame, Frame) for frame in found)


@pytest.mark.parametrize(
    "line",
    [
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b'{"kind": 1, "bytes": 0}\n',
        b'{"kind": "run", "bytes": -1}\n',
        b'{"kind": "run", "bytes": true}\n',
        b'{"kind": "run", "bytes": 99999999999}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (MOST_LINE + 1),
    ],
)
def test_a_line_that_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(FleetError, match="cannot be understood"):
        list(Decoder().feed(line))


def test_a_fact_of_the_wrong_type_is_refused() -> None:
    frame = Frame("task", {"name": 3, "beat_s": True})
    for read in (frame.text, frame.number):
        for name in ("name" if read == frame.text else "beat_s", "absent"):
            with pytest.raises(FleetError, match=f"{name} of 'task' is"):
                read(name)


def test_a_message_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(FleetError, match="too long"):
        encoded(Frame("task", {"text": "x" * MOST_LINE}))


def model(folder: Path, data: bytes = b"weights") -> Packed:
    (folder / "data").mkdir(parents=True)
    files = [folder / "m.onnx", folder / "data" / "w.bin", folder / "empty.bin"]
    for file, content in zip(files, (b"graph", data, b""), strict=True):
        file.write_bytes(content)
    return packed_model(files[0], files, hashlib.sha256(b"graph" + data).hexdigest())


def received(made: Packed, shelf: Shelf) -> Path:
    incoming = shelf.receive(made.bundle)
    for part in made.parts():
        incoming.add(part.body)
    return incoming.finish()


def test_a_model_arrives_with_its_data(tmp_path: Path) -> None:
    made, shelf = model(tmp_path / "here", bytes(PART + 5)), Shelf(tmp_path / "there")
    assert shelf.find(made.bundle) is None
    path = received(made, shelf)
    assert path == shelf.find(made.bundle)
    assert path.read_bytes() == b"graph"
    assert (path.parent / "data" / "w.bin").read_bytes() == bytes(PART + 5)
    assert (path.parent / "empty.bin").read_bytes() == b""
    assert not list((tmp_path / "there").glob("*.part"))
    assert bundles.from_json(bundles.as_json(made.bundle)) == made.bundle


def test_a_model_that_was_tampered_with_is_not_found(tmp_path: Path) -> None:
    made, shelf = model(tmp_path / "here"), Shelf(tmp_path / "there")
    path = received(made, shelf)
    (path.parent / "data" / "w.bin").write_bytes(b"weighty")
    assert shelf.find(made.bundle) is None
    assert received(made, shelf).read_bytes() == b"graph"
    assert shelf.find(made.bundle)


def test_one_model_under_two_names_is_two_files(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "there")
    names = []
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(b"graph")
        names.append(received(packed(tmp_path / name), shelf))
    assert [path.name for path in names] == ["a.onnx", "b.onnx"]
    assert all(path.is_file() for path in names)


def test_a_model_with_another_digest_is_refused(tmp_path: Path) -> None:
    made, shelf = model(tmp_path / "here"), Shelf(tmp_path / "there")
    (tmp_path / "here" / "data" / "w.bin").write_bytes(b"changed")
    incoming = shelf.receive(made.bundle)
    for part in made.parts():
        incoming.add(part.body)
    with pytest.raises(FleetError, match="arrived with SHA-256"):
        incoming.finish()
    incoming.abandon()
    assert shelf.find(made.bundle) is None
    assert list((tmp_path / "there").iterdir()) == []


def test_a_file_that_is_longer_or_shorter_is_refused(tmp_path: Path) -> None:
    made, shelf = model(tmp_path / "here"), Shelf(tmp_path / "there")
    with pytest.raises(FleetError, match="longer than it was said to be"):
        shelf.receive(made.bundle).add(b"graph and more")
    with pytest.raises(FleetError, match="arrived with"):
        shelf.receive(made.bundle).finish()
    (tmp_path / "here" / "data" / "w.bin").write_bytes(b"we")
    with pytest.raises(FleetError, match="has become shorter"):
        list(made.parts())


@pytest.mark.parametrize(
    "name", ["../m", "/etc/passwd", "a/../../b", "", ".", "a\\b", "a\0b", "a//b", "x" * 2000]
)
def test_a_name_that_leaves_the_folder_is_refused(name: str) -> None:
    data = {"sha256": "0" * 64, "files": [["m.onnx", 1], [name, 1]]}
    with pytest.raises(FleetError, match="cannot be understood"):
        bundles.from_json(data)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"sha256": "0" * 63, "files": [["m", 1]]},
        {"sha256": "../" + "0" * 61, "files": [["m", 1]]},
        {"sha256": "0" * 64, "files": []},
        {"sha256": "0" * 64, "files": [["m", -1]]},
        {"sha256": "0" * 64, "files": [["m", 1], ["m", 1]]},
        {"sha256": "0" * 64, "files": [["m", 1]] * 2000},
        {"sha256": "0" * 64, "files": "m"},
    ],
)
def test_what_is_no_bundle_is_refused(data: object) -> None:
    with pytest.raises(FleetError, match="cannot be understood"):
        bundles.from_json(data)


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path)
    monkeypatch.setattr(Shelf, "_free", lambda self: 10)
    with pytest.raises(FleetError, match=r"there is no room for a model of 5\.0 MB"):
        shelf.receive(Bundle("0" * 64, (("m.onnx", 5_000_000),)))


def test_room_is_made_by_what_was_not_used_for_longest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    shelf = Shelf(tmp_path / "there")
    old, new = (received(model(tmp_path / name, name.encode()), shelf) for name in ("old", "new"))
    os.utime(old.parent, (0, 0))
    monkeypatch.setattr(Shelf, "_free", lambda self: 0 if old.exists() else 1 << 30)
    shelf.receive(Bundle("0" * 64, (("m.onnx", 5),))).abandon()
    assert new.exists()
    assert not old.exists()
