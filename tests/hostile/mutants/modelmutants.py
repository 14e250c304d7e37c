"""Models damaged on purpose, the same for one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from onnx import ModelProto, helper
from support.networks import models

_ODD_SIZES = (-1, 0, 1 << 40, (1 << 63) - 1)


def seeds() -> list[ModelProto]:
    """A dense layer, a small CNN, a function, a loop."""
    imports = [helper.make_opsetid("", 17)]
    body = [helper.make_node("Relu", ["a"], ["t"]), helper.make_node("Abs", ["t"], ["b"])]
    function = helper.make_function("my", "F", ["a"], ["b"], body, imports)
    call = helper.make_node("F", ["x"], ["y"], domain="my", name="call")
    ends = [models.value("x", ["N", 4])], [models.value("y", ["N", 4])]
    calls = models.model([call], *ends, domains=["my"], functions=[function])
    inner = helper.make_graph(
        [models.node("Abs", ["x"], ["t"], "inner")], "branch", [], [models.value("t", None)]
    )
    test = models.node("ReduceMax", ["x"], ["m"], keepdims=0)
    cast = models.node("Cast", ["m"], ["c"], to=9)
    either = helper.make_node("If", ["c"], ["y"], name="if", then_branch=inner, else_branch=inner)
    branches = models.model([test, cast, either], *ends)
    return [models.linear(), models.lenet(), calls, branches]


#: Texts that take the place of others.
WORDS = ("", "x", "y", "\x1b[31m", "Loop", "../a", "F")


def mutants(
    seed: int, count: int, good: Sequence[ModelProto] = (), words: Sequence[str] = WORDS
) -> Iterator[tuple[str, bytes]]:
    """What was done, and the file; of these good models, in which `words` may come to stand."""
    rng = random.Random(seed)
    good = good or seeds()
    for number in range(count):
        made = ModelProto()
        made.CopyFrom(rng.choice(good))
        kind = rng.choice(("bytes", "cut", "fields", "fields", "fields"))
        if kind == "fields":
            for _ in range(rng.randint(1, 4)):
                _change(rng, made, words)
        data = bytearray(made.SerializeToString())
        if kind == "cut":
            data = data[: rng.randrange(len(data))]
        if kind == "bytes":
            for _ in range(rng.randint(1, 30)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        yield f"{seed}/{number} {kind}", bytes(data)


def _change(rng: random.Random, made: Any, words: Sequence[str]) -> None:
    """Change one field somewhere in the message."""
    message = made
    for _ in range(rng.randint(0, 7)):
        inner = [
            each
            for field, held in message.ListFields()
            if field.message_type
            for each in (held if _repeated(message, field) else [held])
        ]
        if not inner:
            break
        message = rng.choice(inner)
    fields = [field for field, _ in message.ListFields()]
    if fields:
        _alter(rng, message, rng.choice(fields), words)


def _repeated(message: Any, field: Any) -> bool:
    return hasattr(getattr(message, field.name), "append") or hasattr(
        getattr(message, field.name), "add"
    )


def _alter(rng: random.Random, message: Any, field: Any, words: Sequence[str]) -> None:
    held = getattr(message, field.name)
    act = rng.random()
    if act < 0.3:
        message.ClearField(field.name)
    elif _repeated(message, field):
        if act < 0.6 and len(held):
            held.append(held[rng.randrange(len(held))])
        elif len(held):
            del held[rng.randrange(len(held))]
    elif isinstance(held, bool | int):
        _set(message, field.name, rng.choice(_ODD_SIZES if act < 0.8 else (1, 2, 3, 7, 99)))
    elif isinstance(held, str):
        _set(message, field.name, rng.choice(words))
    elif isinstance(held, bytes):
        _set(message, field.name, held[: rng.randrange(len(held) + 1)])


def _set(message: Any, name: str, value: Any) -> None:
    try:
        setattr(message, name, value)
    except (ValueError, TypeError):  # an enumeration, or too large for its type
        message.ClearField(name)
