"""Every element type of ONNX: the one table of names, numbers, widths and kinds.

A type is known by NumPy's name, or by ml_dtypes' where NumPy has none. What runtimes call a type
is theirs alone, and stands in their backends.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What elements are."""

    FLOAT = "float"
    SIGNED = "signed"
    UNSIGNED = "unsigned"
    BOOL = "bool"
    COMPLEX = "complex"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Element:
    """One element type."""

    name: str
    """NumPy's or ml_dtypes' name: `float32`, `float8_e4m3fn`; `string` for texts."""
    onnx: str
    """ONNX's name: `FLOAT`, `FLOAT8E4M3FN`."""
    number: int
    """ONNX's number."""
    bits: int
    """Of an element as stored; 0 for texts, whose lengths are data."""
    kind: Kind
    in_numpy: bool = True
    """Whether NumPy has the type by itself."""

    @property
    def packed(self) -> bool:
        """Whether several elements share a byte where they are stored."""
        return 0 < self.bits < 8

    @property
    def whole(self) -> bool:
        """Whether elements are integers."""
        return self.kind in (Kind.SIGNED, Kind.UNSIGNED)

    @property
    def narrow(self) -> bool:
        """Whether elements are integers of 8 bits or fewer, which quantisers make of weights."""
        return self.whole and self.bits <= 8

    @property
    def half(self) -> bool:
        """Whether elements are floating-point numbers of 16 bits or fewer."""
        return self.kind is Kind.FLOAT and self.bits <= 16


_F, _S, _U = Kind.FLOAT, Kind.SIGNED, Kind.UNSIGNED
#: In the order of ONNX's numbers.
ELEMENTS = (
    Element("float32", "FLOAT", 1, 32, _F),
    Element("uint8", "UINT8", 2, 8, _U),
    Element("int8", "INT8", 3, 8, _S),
    Element("uint16", "UINT16", 4, 16, _U),
    Element("int16", "INT16", 5, 16, _S),
    Element("int32", "INT32", 6, 32, _S),
    Element("int64", "INT64", 7, 64, _S),
    Element("string", "STRING", 8, 0, Kind.TEXT),
    Element("bool", "BOOL", 9, 8, Kind.BOOL),
    Element("float16", "FLOAT16", 10, 16, _F),
    Element("float64", "DOUBLE", 11, 64, _F),
    Element("uint32", "UINT32", 12, 32, _U),
    Element("uint64", "UINT64", 13, 64, _U),
    Element("complex64", "COMPLEX64", 14, 64, Kind.COMPLEX),
    Element("complex128", "COMPLEX128", 15, 128, Kind.COMPLEX),
    Element("bfloat16", "BFLOAT16", 16, 16, _F, False),
    Element("float8_e4m3fn", "FLOAT8E4M3FN", 17, 8, _F, False),
    Element("float8_e4m3fnuz", "FLOAT8E4M3FNUZ", 18, 8, _F, False),
    Element("float8_e5m2", "FLOAT8E5M2", 19, 8, _F, False),
    Element("float8_e5m2fnuz", "FLOAT8E5M2FNUZ", 20, 8, _F, False),
    Element("uint4", "UINT4", 21, 4, _U, False),
    Element("int4", "INT4", 22, 4, _S, False),
    Element("float4_e2m1fn", "FLOAT4E2M1", 23, 4, _F, False),
    Element("float8_e8m0fnu", "FLOAT8E8M0", 24, 8, _F, False),
    Element("uint2", "UINT2", 25, 2, _U, False),
    Element("int2", "INT2", 26, 2, _S, False),
    Element("float6_e2m3fn", "FLOAT6E2M3", 27, 6, _F, False),
    Element("float6_e3m2fn", "FLOAT6E3M2", 28, 6, _F, False),
)
_BY_NAME = {element.name: element for element in ELEMENTS}
#: Other names of texts: NumPy's, and that of arrays that hold them.
TEXTS = frozenset({"string", "str", "object"})
_BY_NUMBER = {element.number: element for element in ELEMENTS}
_BY_ONNX = {element.onnx: element for element in ELEMENTS}


def by_name(name: str) -> Element | None:
    """The type of a name; None for an unknown one, and for a sequence or optional."""
    return _BY_NAME.get("string" if name in TEXTS else name)


def by_number(number: int) -> Element | None:
    """The type of one of ONNX's numbers; None for an unknown one."""
    return _BY_NUMBER.get(number)


def by_onnx(name: str) -> Element | None:
    """The type of one of ONNX's names, such as `FLOAT8E5M2`; None for an unknown one."""
    return _BY_ONNX.get(name)


def element_bits(name: str) -> int:
    """Bits of an element by the name of its type; 0 where it has none or is not known."""
    element = by_name(name)
    return element.bits if element is not None else 0


def is_computed_in(name: str) -> bool:
    """Whether a type holds real numbers of any size: floating point of 16 bits or more."""
    element = by_name(name)
    return element is not None and element.kind is Kind.FLOAT and element.bits >= 16


def inner_type(words: str) -> tuple[str, str]:
    """(`sequence`, `float32`) of `sequence(float32)`; an empty kind for a tensor's type."""
    kind, bracket, rest = words.partition("(")
    return (kind, rest[:-1]) if bracket and rest.endswith(")") else ("", words)
