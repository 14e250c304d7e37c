"""Sizes as expressions: polynomials in the names of axes, with whole quotients as factors.

An expression prints as Python: `2*batch*sequence**2 + 3*((width + 1)//2)`. Equal polynomials are
equal and print alike. Coefficients are rational, values are whole.
"""

from __future__ import annotations

import keyword
import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Union

#: A size that is known, or as an expression in the sizes of axes.
Size = Union[int, "Expression"]


@dataclass(frozen=True, eq=True)
class Quotient:
    """The whole part of a polynomial over a number."""

    dividend: Expression
    divisor: int

    def value(self, sizes: Mapping[str, int]) -> int:
        """The whole quotient at these sizes."""
        return math.floor(self.dividend.rational(sizes) / self.divisor)

    def __str__(self) -> str:
        return f"(({self.dividend})//{self.divisor})"


#: A factor: the name of an axis, or a whole quotient.
Factor = str | Quotient
#: Factors with their powers, in order of their text.
Product = tuple[tuple[Factor, int], ...]
Terms = Mapping[Product, Fraction]


class Expression:
    """A sum of products of factors with rational coefficients; immutable."""

    def __init__(self, terms: Terms) -> None:
        self.terms: Terms = terms

    @cached_property
    def _key(self) -> frozenset[tuple[Product, Fraction]]:
        return frozenset(self.terms.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __add__(self, other: Size) -> Size:
        added = dict(self.terms)
        for product, factor in _terms(other).items():
            added[product] = added.get(product, Fraction(0)) + factor
        return _made(added)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def __rsub__(self, other: int) -> Size:
        return self * -1 + other

    def __mul__(self, other: Size) -> Size:
        made: dict[Product, Fraction] = {}
        for left, a in self.terms.items():
            for right, b in _terms(other).items():
                product = _times(left, right)
                made[product] = made.get(product, Fraction(0)) + a * b
        return _made(made)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Size:
        if divisor == 1:
            return self
        whole = {p: f for p, f in self.terms.items() if _is_multiple(p, f, divisor)}
        rest = {p: f for p, f in self.terms.items() if p not in whole}
        front = _made({p: f / divisor for p, f in whole.items()})
        if not rest:
            return front
        left = _made(rest)
        if not isinstance(left, Expression):
            return front + left // divisor
        return front + Expression({((Quotient(left, divisor), 1),): Fraction(1)})

    def rational(self, sizes: Mapping[str, int]) -> Fraction:
        """The value at these sizes. Raises KeyError for an axis without a size."""
        return sum(
            (
                factor * math.prod(_value(f, sizes) ** power for f, power in product)
                for product, factor in self.terms.items()
            ),
            Fraction(0),
        )

    def axes(self) -> frozenset[str]:
        """Names of the axes that it depends on."""
        return frozenset(name for product in self.terms for f, _ in product for name in _axes(f))

    def __str__(self) -> str:
        ordered = sorted(self.terms.items(), key=lambda term: (-_degree(term[0]), str(term[0])))
        text = " + ".join(_term(product, factor) for product, factor in ordered)
        return text.replace("+ -", "- ")

    def __repr__(self) -> str:
        return f"<{self}>"


def axis(name: str) -> Expression:
    """The size of an axis as an expression."""
    return Expression({((name, 1),): Fraction(1)})


def names_in_python(names: Iterable[str]) -> dict[str, str]:
    """A name for each that Python can read, distinct from one another; most are their own."""
    every, made = list(names), dict[str, str]()
    taken = {name for name in every if _is_name(name)}
    for name in every:
        if name in taken:
            made[name] = name
            continue
        front = "".join(c if f"a{c}".isidentifier() and c.isprintable() else "_" for c in name)
        front = front if _is_name(front) else f"axis_{front}"
        tries = (front, *(f"{front}_{number}" for number in range(2, len(every) + 2)))
        made[name] = next(one for one in tries if one not in {*made.values(), *taken})
    return made


def _is_name(text: str) -> bool:
    """Whether Python reads it as one name, and as this one."""
    readable = text.isidentifier() and not keyword.iskeyword(text)
    return readable and unicodedata.normalize("NFKC", text) == text


def evaluate(size: Size, sizes: Mapping[str, int]) -> int:
    """The value at these sizes. Raises KeyError for an axis without a size."""
    if isinstance(size, int):
        return size
    value = size.rational(sizes)
    if value.denominator != 1:
        raise ValueError(f"{size} is {value} at {dict(sizes)}, which is no whole number")
    return value.numerator


def ceil_div(size: Size, divisor: int) -> Size:
    """The quotient, rounded up."""
    return (size + (divisor - 1)) // divisor


def product(sizes: Any) -> Size:
    """The product of sizes; 1 for none."""
    made: Size = 1
    for size in sizes:
        made = made * size
    return made


def _terms(size: Size) -> Terms:
    if isinstance(size, Expression):
        return size.terms
    return {(): Fraction(size)} if size else {}


def _made(terms: Mapping[Product, Fraction]) -> Size:
    """The sum; a plain number where no axis is left in it."""
    kept = {product: factor for product, factor in terms.items() if factor}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept and kept[()].denominator == 1:
        return kept[()].numerator
    return Expression(kept)


def _times(left: Product, right: Product) -> Product:
    if not left or not right:
        return left or right
    powers: dict[Factor, int] = dict(left)
    for factor, power in right:
        powers[factor] = powers.get(factor, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _is_multiple(product: Product, factor: Fraction, divisor: int) -> bool:
    return bool(product) and (factor / divisor).denominator == 1


def _value(factor: Factor, sizes: Mapping[str, int]) -> int:
    return factor.value(sizes) if isinstance(factor, Quotient) else sizes[factor]


def _axes(factor: Factor) -> frozenset[str]:
    return factor.dividend.axes() if isinstance(factor, Quotient) else frozenset((factor,))


def _degree(product: Product) -> int:
    return sum(power for _, power in product)


def _term(product: Product, factor: Fraction) -> str:
    names = "*".join(f"{f}**{power}" if power > 1 else str(f) for f, power in product)
    if not product:
        return str(factor)
    if abs(factor) == 1:
        return names if factor > 0 else f"-{names}"
    if factor.denominator == 1:
        return f"{factor}*{names}"
    sign = "" if abs(factor.numerator) == 1 else f"{abs(factor.numerator)}*"
    return f"{'-' if factor < 0 else ''}{sign}{names}/{factor.denominator}"
