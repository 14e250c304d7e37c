"""How operators use a model's inputs (index, length, count), and the values that they allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from onnxprof.records.layer import Dim, Layer, LayerTable, Shape, Tensor, placed
from onnxprof.zoo.declaration import Fill

#: Operators through which token ids pass on their way to the table that they index.
_TRANSPARENT = frozenset(
    {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Transpose", "Clip"}
    | {"Slice", "Expand", "Tile", "Concat", "Where", "Split", "Trilu"}
)
#: As the end of a Slice: the end of the axis.
_END = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Use:
    """The values of an input that an operator accepts."""

    limit: int = 0
    """Number of rows that the input indexes; 0 where it is no index."""
    fill: Fill | None = None
    why: str = ""


def uses(table: LayerTable, inputs: tuple[Tensor, ...]) -> dict[str, Use]:
    """The narrowest use of each input by name; inputs that any value fits are left out."""
    readers: dict[str, list[tuple[Layer, int]]] = defaultdict(list)
    for layer in table.nodes:
        for position, name in _places(layer):
            readers[name].append((layer, position))
    uses_of = {tensor.name: list(_of(tensor.name, readers)) for tensor in inputs}
    return {name: _narrowest(all_) for name, all_ in uses_of.items() if all_}


def _places(layer: Layer) -> Iterator[tuple[int, str]]:
    """(position, name) of a layer's inputs."""
    for position, tensor in enumerate(placed(layer.inputs, layer.absent_inputs)):
        if tensor is not None:
            yield position, tensor.name


def _narrowest(all_: list[Use]) -> Use:
    fixed = [use for use in all_ if use.fill is not None]
    return fixed[0] if fixed else min(all_, key=lambda use: use.limit)


def _of(name: str, readers: Mapping[str, list[tuple[Layer, int]]]) -> Iterator[Use]:
    waiting, seen = [name], {name}
    while waiting:
        for layer, position in readers.get(waiting.pop(), ()):
            rule = _rule(layer, position)
            use = rule(layer) if rule is not None else None
            if use is not None and (use.limit or use.fill is not None):
                yield use
            elif _passes(layer, position):
                fresh = [o.name for o in layer.outputs if o.name not in seen]
                seen.update(fresh)
                waiting.extend(fresh)


def _rule(layer: Layer, position: int) -> Callable[[Layer], Use] | None:
    """The rule of an operand; onnxruntime's own operators may have names that ONNX has, too."""
    own = f"{layer.domain}.{layer.op_type}" if layer.domain else ""
    return _RULES.get((own, position)) or _RULES.get((layer.op_type, position))


def _passes(layer: Layer, position: int) -> bool:
    """Whether the layer only moves or repeats the values of the input at this position."""
    places = {"Where": (1, 2), "Concat": range(len(layer.inputs))}
    return layer.op_type in _TRANSPARENT and position in places.get(layer.op_type, (0,))


def _operand(layer: Layer, position: int) -> Tensor | None:
    names = dict(_places(layer))
    name = names.get(position)
    return next((tensor for tensor in layer.inputs if tensor.name == name), None)


def _shape(layer: Layer, position: int) -> Shape:
    held = _operand(layer, position)
    return None if held is None else held.shape


def _integer(layer: Layer, name: str, default: int) -> int:
    text = dict(layer.attributes).get(name, str(default))
    return int(text) if text.lstrip("-").isdecimal() else default


def _length(shape: Shape, axis: int) -> int:
    """The size of an axis; 0 where it is not known."""
    size: Dim = shape[axis] if shape and -len(shape) <= axis < len(shape) else None
    return size if isinstance(size, int) else 0


def _rows(position: int, attribute: str = "axis") -> Callable[[Layer], Use]:
    """Indices into an axis of an operand."""
    return lambda layer: Use(_length(_shape(layer, position), _integer(layer, attribute, 0)))


def _any_axis(layer: Layer) -> Use:
    """Indices into several axes, bounded by the shortest of them."""
    data, indices = _shape(layer, 0), _shape(layer, 1)
    first = _integer(layer, "batch_dims", 0)
    count = indices[-1] if indices else None
    if data is None or not isinstance(count, int):
        return Use()
    sizes = [size for size in data[first : first + count] if isinstance(size, int)]
    return Use(min(sizes, default=0))


def _depth(layer: Layer) -> Use:
    held = _operand(layer, 1)
    value = held.value if held is not None else None
    return Use(value[0] if value and value[0] > 0 else 0)


def _constant(value: float, why: str) -> Use:
    return Use(fill=Fill("constant", value), why=why)


def _always(value: float, why: str) -> Callable[[Layer], Use]:
    return lambda _: _constant(value, why)


def _kept_tokens(layer: Layer) -> int:
    """Tokens in the cache of a GroupQueryAttention once the new ones are in it."""
    return _length(_shape(layer, 3), 2) + _length(_shape(layer, 0), 1)


def _last_token(layer: Layer) -> Use:
    return _constant(max(_kept_tokens(layer) - 1, 0), "the index of the last token")


def _all_tokens(layer: Layer) -> Use:
    return _constant(_kept_tokens(layer), "tokens, those of the cache included")


def _room(layer: Layer) -> Use:
    """Where new tokens are written into a cache: at its end."""
    axis = _integer(layer, "axis", -2)
    free = _length(_shape(layer, 0), axis) - _length(_shape(layer, 1), axis)
    return _constant(max(free, 0), "the place of the new tokens at the end of the cache")


def _valid_keys(layer: Layer) -> Use:
    """Keys that are no padding: all of them."""
    count = _length(_shape(layer, 1), -2 if len(_shape(layer, 1) or ()) == 4 else 1)
    return _constant(count, "keys, none of which is padding") if count else Use()


def _before(past: int, axis: int) -> Callable[[Layer], Use]:
    """Tokens that a shared buffer already holds: room for the new ones."""

    def rule(layer: Layer) -> Use:
        size, new = _length(_shape(layer, past), axis), _length(_shape(layer, 0), 1)
        return _constant(max(size - new, 0), "tokens in the cache") if size else Use()

    return rule


def _steps(layer: Layer) -> Use:
    axis = 1 if _integer(layer, "layout", 0) else 0
    length = _length(_shape(layer, 0), axis)
    return _constant(length, "the length of the sequences") if length else Use()


def _positions(table: int) -> Callable[[Layer], Use]:
    def rule(layer: Layer) -> Use:
        rows = _length(_shape(layer, table), 0)
        return Use(rows, Fill("range", 0), "positions") if rows else Use()

    return rule


def _key_lengths(layer: Layer) -> Use:
    """A one-dimensional mask holds the number of valid tokens per item; others hold ones."""
    mask, tokens = _shape(layer, 3), _length(_shape(layer, 0), 1)
    if mask is not None and len(mask) == 1:
        return _constant(tokens, "tokens that count")
    return _constant(1, "a mask that hides nothing")


def _padding(layer: Layer) -> Use:
    """The same of MultiHeadAttention, whose keys may be other tokens than its queries."""
    mask, keys = _shape(layer, 4), _shape(layer, 1) or _shape(layer, 0)
    if mask is not None and len(mask) == 1:
        return _constant(_length(keys, 2 if len(keys or ()) == 4 else 1), "tokens that count")
    return _constant(1, "a mask that hides nothing")


def _all_tokens_of_buffer(layer: Layer) -> Use:
    size = _length(_shape(layer, 3), 2)
    return _constant(size, "tokens, a full cache") if size else Use()


def _old_scales(layer: Layer) -> Use:
    """Scales stood in this place in opset 10."""
    return _constant(1, "a scale of one") if layer.opset == 10 else Use()


def _largest(layer: Layer) -> Use:
    length = _length(_shape(layer, 0), _integer(layer, "axis", -1))
    return _constant(1, "the number of values kept") if length else Use()


_RULES: Mapping[tuple[str, int], Callable[[Layer], Use]] = {
    ("Gather", 1): _rows(0),
    ("GatherElements", 1): _rows(0),
    ("Scatter", 1): _rows(0),
    ("ScatterElements", 1): _rows(0),
    ("GatherND", 1): _any_axis,
    ("ScatterND", 1): _any_axis,
    ("OneHot", 0): _depth,
    ("TorchEmbedding", 1): _rows(0),
    ("GatherBlockQuantized", 1): _rows(0, "gather_axis"),
    ("EmbedLayerNormalization", 0): _rows(2),
    ("EmbedLayerNormalization", 1): _rows(4),
    ("EmbedLayerNormalization", 8): _positions(3),
    ("EmbedLayerNormalization", 7): _always(1, "a mask that hides nothing"),
    ("QEmbedLayerNormalization", 7): _always(1, "a mask that hides nothing"),
    ("QEmbedLayerNormalization", 0): _rows(2),
    ("QEmbedLayerNormalization", 1): _rows(4),
    ("RoiAlign", 2): _rows(0),
    ("GroupQueryAttention", 5): _last_token,
    ("GroupQueryAttention", 6): _all_tokens,
    ("GroupQueryAttention", 9): _positions(7),
    ("SparseAttention", 7): _all_tokens_of_buffer,
    ("SparseAttention", 8): _all_tokens_of_buffer,
    ("DecoderMaskedMultiHeadAttention", 7): _before(5, 2),
    ("DecoderMaskedSelfAttention", 6): _before(4, 3),
    ("MultiHeadAttention", 8): _before(6, 2),
    ("com.microsoft.Attention", 6): _before(4, 3),
    ("com.microsoft.RotaryEmbedding", 1): _positions(2),
    ("RotaryEmbedding", 3): _positions(1),
    ("TensorScatter", 2): _room,
    ("Attention", 6): _valid_keys,
    ("LSTM", 4): _steps,
    ("GRU", 4): _steps,
    ("RNN", 4): _steps,
    ("com.microsoft.Attention", 3): _key_lengths,
    ("MultiHeadAttention", 4): _padding,
    ("TopK", 1): _largest,
    ("Tile", 1): _always(1, "one repetition"),
    ("Expand", 1): _always(1, "no wider than the data"),
    ("Pad", 1): _always(0, "no padding"),
    ("Slice", 1): _always(0, "from the start"),
    ("Slice", 2): _always(_END, "to the end"),
    ("Slice", 4): _always(1, "a step of one"),
    ("Resize", 1): _old_scales,
    ("Resize", 2): _always(1, "a scale of one"),
    ("Upsample", 1): _always(1, "a scale of one"),
}
