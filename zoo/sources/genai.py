"""Decoders as onnxruntime-genai's model builder lays them out, for maintainers.

One GroupQueryAttention a layer reads queries, keys and values from one packed product, turns them
by tables of cosines and sines, and appends to the cache; norms are merged with the residual sums.
Weights of four bits are MatMulNBits, in blocks of `BLOCK`, symmetric (no zero points). Names are
the builder's. A tied table of four bits is stored once, and read by GatherBlockQuantized, too
(the builder's option `shared_embeddings`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from onnxprof.zoo.declaration import Entry
from onnxprof.zoo.making import rules
from onnxprof.zoo.making.tables import Waves
from onnxprof.zoo.sources.sizes import Sizes

#: Weights that share a scale.
BLOCK = 32
#: MatMulNBits multiplies integers of eight bits, the builder's choice for CPUs.
ACCURACY_LEVEL = 4

_OPSET, _IR = 21, 10
_MICROSOFT = "com.microsoft"
_DTYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}
_TEXT = ("batch", "sequence_length")

#: Axes of a tensor.
Axes = list[str | int | None]


def decoder(sizes: Sizes, entry: Entry, dtype: str, *, quantised: bool) -> ModelProto:
    """A decoder with the entry's inputs; quantised to four bits or with weights of `dtype`."""
    made = _Decoder(sizes, _DTYPES[dtype], quantised)
    made.build()
    inputs = [helper.make_tensor_value_info(i.name, _code(i.dtype), i.shape) for i in entry.inputs]
    graph = helper.make_graph(
        made.nodes,
        entry.name,
        inputs,
        made.outputs,
        made.weights,
        value_info=made.values,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR)


def _code(dtype: str) -> int:
    return TensorProto.INT64 if dtype == "int64" else _DTYPES[dtype]


class _Decoder:
    """The graph, as it grows."""

    def __init__(self, sizes: Sizes, dtype: int, quantised: bool) -> None:
        self.sizes, self.dtype, self.quantised = sizes, dtype, quantised
        self.nodes: list[NodeProto] = []
        self.values: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self.weights: list[TensorProto] = []

    def build(self) -> None:
        """Append everything, from the ids to the logits."""
        sizes = self.sizes
        logits = helper.make_tensor_value_info("logits", self.dtype, [*_TEXT, sizes.vocabulary])
        self.outputs.append(logits)
        shared = self.rotations()
        lengths = self.lengths()
        residual = self.embedding()
        weight = self.weight("model.layers.0.input_layernorm.weight", sizes.width)
        x = self.add(
            "SimplifiedLayerNormalization",
            "/model/layers.0/input_layernorm/LayerNorm",
            [residual, weight],
            sizes.width,
            axis=-1,
            epsilon=sizes.epsilon,
            stash_type=1,
        )
        for layer in range(sizes.layers):
            name = f"layers.{layer}"
            x = self.attention(name, layer, x, (*lengths, *shared))
            x, residual = self.skip(f"{name}/post_attention_layernorm", residual, x)
            x = self.feed_forward(name, x)
            after = f"layers.{layer + 1}"
            is_last = layer + 1 == sizes.layers
            norm = "final_norm_layernorm" if is_last else "input_layernorm"
            x, residual = self.skip(f"{after}/{norm}", residual, x, last=is_last)
        self.product("/lm_head", x, sizes.width, sizes.vocabulary, output="logits")

    def add(
        self,
        operator: str,
        name: str,
        inputs: Sequence[str],
        shape: int | Sequence[int | str],
        *more: str,
        domain: str = "",
        output: str = "",
        dtype: int = 0,
        **attributes: Any,
    ) -> str:
        """Append a node; returns its first output, of that shape or of a text of that width."""
        made = output or f"{name}/output_0"
        outputs = [made, *more]
        self.nodes.append(
            helper.make_node(operator, inputs, outputs, name, domain=domain, **attributes)
        )
        axes: Axes = [*_TEXT, shape] if isinstance(shape, int) else list(shape)
        if made not in {value.name for value in self.outputs}:
            self.values.append(helper.make_tensor_value_info(made, dtype or self.dtype, axes))
        return made

    def weight(self, name: str, *dims: int, dtype: int = 0) -> str:
        """Append a weight without data; returns its name."""
        self.weights.append(TensorProto(name=name, dims=dims, data_type=dtype or self.dtype))
        return name

    def constant(self, values: int | Sequence[int]) -> str:
        """Integers, stored once; returns their name."""
        name = f"/model/constants/INT64/{values}"
        if name not in {tensor.name for tensor in self.weights}:
            held = [values] if isinstance(values, int) else list(values)
            dims = [] if isinstance(values, int) else [len(held)]
            self.weights.append(helper.make_tensor(name, TensorProto.INT64, dims, held))
        return name

    def rotations(self) -> tuple[str, str]:
        """The tables of cosines and sines, which all layers share."""
        sizes = self.sizes
        for name, kind in (("cos_cache", "cosines"), ("sin_cache", "sines")):
            self.weight(name, sizes.context, sizes.head // 2)
            rules.strip(self.weights[-1], Waves(kind, sizes.base, sizes.head // 2))
        return "cos_cache", "sin_cache"

    def lengths(self) -> tuple[str, str]:
        """The index of each text's last token, and the most tokens of any."""
        stem = "/model/attn_mask_reformat/attn_mask_subgraph"
        whole, narrow = TensorProto.INT64, TensorProto.INT32
        one, column = self.constant([1]), ("batch", 1)
        mask = "attention_mask"
        total = self.add("ReduceSum", f"{stem}/ReduceSum", [mask, one], column, dtype=whole)
        last = self.add("Sub", f"{stem}/Sub", [total, one], column, dtype=whole)
        last = self.add(
            "Cast", f"{stem}/Sub/Cast", [last], column, dtype=narrow, to=TensorProto.INT32
        )
        shape = self.add("Shape", f"{stem}/Shape", [mask], (2,), dtype=whole)
        at = [shape, self.constant(1)]
        length = self.add("Gather", f"{stem}/Gather", at, (), dtype=whole, axis=0)
        length = self.add(
            "Cast", f"{stem}/Gather/Cast", [length], (), dtype=narrow, to=TensorProto.INT32
        )
        return last, length

    def embedding(self) -> str:
        """Vectors of the ids; from packed weights where these are the logits' matrix, too."""
        sizes, stem = self.sizes, "/model/embed_tokens"
        if not (self.quantised and sizes.tied):
            table = self.weight("model.embed_tokens.weight", sizes.vocabulary, sizes.width)
            return self.add("Gather", f"{stem}/Gather", [table, "input_ids"], sizes.width)
        packed, scales = self.packed("lm_head.MatMul.weight", sizes.width, sizes.vocabulary)
        rows = (sizes.vocabulary, sizes.width // 2)
        flat = self.add(
            "Reshape",
            f"{stem}/Reshape",
            [packed, self.constant(rows)],
            rows,
            dtype=TensorProto.UINT8,
        )
        return self.add(
            "GatherBlockQuantized",
            f"{stem}/GatherBlockQuantized",
            [flat, "input_ids", scales],
            sizes.width,
            domain=_MICROSOFT,
            bits=4,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )

    def packed(self, name: str, inputs: int, outputs: int) -> tuple[str, str]:
        """Names of packed weights and of their scales, stored once."""
        names = (f"{name}_Q4", f"{name}_scales")
        if names[0] not in {tensor.name for tensor in self.weights}:
            blocks = inputs // BLOCK
            self.weight(names[0], outputs, blocks, BLOCK // 2, dtype=TensorProto.UINT8)
            self.weight(names[1], outputs, blocks)
        return names

    def product(self, stem: str, x: str, inputs: int, outputs: int, output: str = "") -> str:
        """The product with a matrix."""
        name, weight = f"{stem}/MatMul", f"{stem[1:].replace('/', '.')}.MatMul.weight"
        made = output or f"{name}/output_0"
        if not self.quantised:
            matrix = self.weight(weight, inputs, outputs)
            return self.add("MatMul", name, [x, matrix], outputs, output=made)
        return self.add(
            "MatMulNBits",
            f"{name}_Q4",
            [x, *self.packed(weight, inputs, outputs)],
            outputs,
            domain=_MICROSOFT,
            output=made,
            K=inputs,
            N=outputs,
            bits=4,
            block_size=BLOCK,
            accuracy_level=ACCURACY_LEVEL,
        )

    def attention(self, name: str, layer: int, x: str, operands: Sequence[str]) -> str:
        """What each token takes from those before it."""
        sizes, stem = self.sizes, f"/model/{name}/attn"
        columns = (sizes.heads + 2 * sizes.groups) * sizes.head
        packed = self.product(f"{stem}/qkv_proj", x, sizes.width, columns)
        if sizes.biased:
            bias = self.weight(f"model.{name}.attn.qkv_proj.Add.bias", columns)
            packed = self.add("Add", f"{stem}/qkv_proj/Add", [packed, bias], columns)
        states = [f"{layer}.{part}" for part in ("key", "value")]
        cache = ("batch", sizes.groups, "total_sequence_length", sizes.head)
        present = [f"present.{state}" for state in states]
        self.outputs += [helper.make_tensor_value_info(each, self.dtype, cache) for each in present]
        y = self.add(
            "GroupQueryAttention",
            f"{stem}/GroupQueryAttention",
            [packed, "", "", *(f"past_key_values.{state}" for state in states), *operands],
            sizes.heads * sizes.head,
            *present,
            domain=_MICROSOFT,
            num_heads=sizes.heads,
            kv_num_heads=sizes.groups,
            scale=1 / math.sqrt(sizes.head),
            do_rotary=1,
            rotary_interleaved=0,
        )
        return self.product(f"{stem}/o_proj", y, sizes.heads * sizes.head, sizes.width)

    def skip(self, name: str, residual: str, x: str, *, last: bool = False) -> tuple[str, str]:
        """The normalised sum of the residual and a branch, and the sum itself."""
        weight = self.weight(f"model.{name.replace('/', '.')}.weight", self.sizes.width)
        node = f"/model/{name}/SkipLayerNorm"
        total = "" if last else f"{node}/output_3"
        y = self.add(
            "SkipSimplifiedLayerNormalization",
            node,
            [residual, x, weight],
            self.sizes.width,
            *(() if last else ("", "", total)),
            domain=_MICROSOFT,
            epsilon=self.sizes.epsilon,
        )
        if total:
            axes: Axes = [*_TEXT, self.sizes.width]
            self.values.append(helper.make_tensor_value_info(total, self.dtype, axes))
        return y, total

    def feed_forward(self, name: str, x: str) -> str:
        """SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer")."""
        width, inner, stem = self.sizes.width, self.sizes.inner, f"/model/{name}/mlp"
        gate = self.product(f"{stem}/gate_proj", x, width, inner)
        up = self.product(f"{stem}/up_proj", x, width, inner)
        curve = self.add("Sigmoid", f"{stem}/act_fn/Sigmoid", [gate], inner)
        gate = self.add("Mul", f"{stem}/act_fn/Mul", [gate, curve], inner)
        y = self.add("Mul", f"{stem}/Mul", [gate, up], inner)
        return self.product(f"{stem}/down_proj", y, inner, width)
