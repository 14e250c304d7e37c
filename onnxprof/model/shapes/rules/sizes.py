"""Symbolic sizes: small sums of products, as in `2*batch` and `past + tokens`.

A size is an integer, an expression as text, or None where nothing is known. Expressions are
what exporters write as names of axes: names, whole numbers, `+ - * / //`, `floor`, `ceil`,
`max` and `min`. A name that is no word stands in braces: `{past-length} + tokens`. Their length
and their terms are bounded, since files are untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache

from onnxprof.records.layer import Dim

MAX_TEXT = 200
_MAX_TERMS = 8
_MAX_DEGREE = 4
_MAX_DEPTH = 16
_MAX_COUNT = 1 << 62
_TOKEN = re.compile(r"\s*(?:(\d+)|([^\W\d][\w.]*)|(\{[^{}]+\})|(//|[-+*/(),]))")
_WORD = re.compile(r"[^\W\d][\w.]*")
_FUNCTIONS = ("floor", "ceil", "max", "min")

#: A sum of products of names: coefficients by the sorted names of each product.
_Sum = dict[tuple[str, ...], int]
#: A parsed expression: a number, a name, or an operator with its operands.
Tree = int | str | tuple[str, tuple["Tree", ...]]


@lru_cache(maxsize=4096)
def parse(text: str) -> Tree | None:
    """The expression as a tree; None where the text is no expression (then it is a mere name)."""
    if len(text) > MAX_TEXT:
        return None
    tokens = _tokens(text)
    if not tokens:
        return None
    try:
        parser = _Parser(tokens)
        tree = parser.sum(0)
    except ValueError:
        return None
    return tree if parser.done and any(_names(tree)) else None


def _tokens(text: str) -> list[str] | None:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        tokens.append(match[match.lastindex or 0])
        at = match.end()
    return tokens


class _Parser:
    """Recursive descent over tokens. Raises ValueError where they are no expression."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def done(self) -> bool:
        return self._at == len(self._tokens)

    def _next(self) -> str:
        return "" if self.done else self._tokens[self._at]

    def _take(self, *wanted: str) -> str:
        token = self._next()
        if token not in wanted:
            return ""
        self._at += 1
        return token

    def sum(self, depth: int) -> Tree:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        tree = self._product(depth)
        while operator := self._take("+", "-"):
            tree = (operator, (tree, self._product(depth)))
        return tree

    def _product(self, depth: int) -> Tree:
        tree = self._factor(depth)
        while operator := self._take("*", "/", "//"):
            tree = (operator, (tree, self._factor(depth)))
        return tree

    def _factor(self, depth: int) -> Tree:
        if self._take("-"):
            if depth > _MAX_DEPTH:
                raise ValueError("nested too deep")
            return "-", (0, self._factor(depth + 1))
        if self._take("("):
            tree = self.sum(depth + 1)
            self._close()
            return tree
        token = self._next()
        self._at += 1
        if token in _FUNCTIONS and self._take("("):
            operands = [self.sum(depth + 1)]
            while self._take(","):
                operands.append(self.sum(depth + 1))
            self._close()
            return token, tuple(operands)
        if token.isdecimal():
            return int(token)
        if token.startswith("{"):
            return token[1:-1]
        if token and (token[0].isalpha() or token[0] == "_"):
            return token
        raise ValueError("no operand")

    def _close(self) -> None:
        if not self._take(")"):
            raise ValueError("not closed")


def names(text: str) -> tuple[str, ...]:
    """The names in an expression, in order; the text itself where it is no expression."""
    tree = parse(text)
    if tree is None:
        return (text,)
    return tuple(dict.fromkeys(_names(tree)))


def quoted(name: str) -> str:
    """A name as it stands in an expression; empty where no expression can have it."""
    if _WORD.fullmatch(name):
        return name
    return "" if "{" in name or "}" in name else f"{{{name}}}"


def _names(tree: Tree) -> Iterable[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, tuple):
        for operand in tree[1]:
            yield from _names(operand)


def evaluate(text: str, sizes: Mapping[str, int]) -> Fraction | None:
    """The expression's value; None where a name has no size, or it cannot be computed."""
    if text in sizes:
        return Fraction(sizes[text])
    tree = parse(text)
    return None if tree is None else _value(tree, sizes)


def _value(tree: Tree, sizes: Mapping[str, int]) -> Fraction | None:
    if isinstance(tree, int):
        return Fraction(tree)
    if isinstance(tree, str):
        return Fraction(sizes[tree]) if tree in sizes else None
    operands = [_value(operand, sizes) for operand in tree[1]]
    known = [operand for operand in operands if operand is not None]
    if len(known) != len(operands):
        return None
    value = _apply(tree[0], known)
    return value if value is not None and abs(value) < _MAX_COUNT else None


def _apply(operator: str, x: list[Fraction]) -> Fraction | None:
    match operator:
        case "+":
            return x[0] + x[1]
        case "-":
            return x[0] - x[1]
        case "*":
            return x[0] * x[1]
        case "/":
            return x[0] / x[1] if x[1] else None
        case "//":
            return Fraction(x[0] // x[1]) if x[1] else None
        case "floor":
            return Fraction(x[0].__floor__()) if len(x) == 1 else None
        case "ceil":
            return Fraction(x[0].__ceil__()) if len(x) == 1 else None
        case "max":
            return max(x)
    return min(x)


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """A spelling that is the same for equal sums; any other text is unchanged."""
    terms = _sum_of(text)
    if terms is None:
        return text
    spelt = _spell(terms)
    return spelt if isinstance(spelt, str) else text


def add(*sizes: Dim) -> Dim:
    """The sum: a number if all sizes are numbers, else an expression; None where not known."""
    total: _Sum = {}
    for size in sizes:
        part = _sum_of(size)
        if part is None:
            return _lone(sizes, 0)
        total = _plus(total, part, 1)
    return _spell(total)


def subtract(a: Dim, b: Dim) -> Dim:
    """The difference; None where it is not known."""
    left, right = _sum_of(a), _sum_of(b)
    if left is None or right is None:
        return a if b == 0 else None
    return _spell(_plus(left, right, -1))


def multiply(*sizes: Dim) -> Dim:
    """The product; an unknown size times zero is zero."""
    if 0 in sizes:
        return 0
    total: _Sum = {(): 1}
    for size in sizes:
        part = _sum_of(size)
        if part is None:
            return _lone(sizes, 1)
        product = _times(total, part)
        if product is None:
            return None
        total = product
    return _spell(total)


def divide(a: Dim, b: Dim) -> Dim:
    """The exact quotient; None where it is not exact or not known."""
    if b == 1:
        return a
    left, right = _sum_of(a), _sum_of(b)
    if left is None or right is None or len(right) != 1:
        return None
    ((product, coefficient),) = right.items()
    out: _Sum = {}
    for names_, count in left.items():
        rest = _without(names_, product)
        if rest is None or count % coefficient:
            return None
        out[rest] = count // coefficient
    return _spell(out)


def terms(size: Dim) -> dict[tuple[str, ...], int] | None:
    """Coefficients by the sorted names of each product; None where the size is no such sum."""
    total = _sum_of(size)
    return None if total is None else dict(total)


def of_terms(total: Mapping[tuple[str, ...], int]) -> Dim:
    """The size that `terms` reads."""
    return _spell(dict(total))


def replaced(size: Dim, values: Mapping[str, int | str]) -> Dim:
    """A sum of products with names replaced, by numbers or by expressions.

    None where that cannot be spelled.
    """
    total = _sum_of(size)
    if total is None:
        return None
    made: Dim = 0
    for product, count in total.items():
        made = add(made, multiply(count, *(_given(name, values) for name in product)))
    return made


def _given(name: str, values: Mapping[str, int | str]) -> int | str:
    return values.get(name[1:-1] if name.startswith("{") else name, name)


def floor_divide(a: Dim, b: Dim) -> Dim:
    """The quotient rounded down; as text where it is not exact."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b else None
    exact = divide(a, b)
    if exact is not None or a is None or b is None or b == 0:
        return exact
    text = f"({a})//({b})" if isinstance(b, str) else f"({a})//{b}"
    return canonical(text) if len(text) <= MAX_TEXT and parse(text) is not None else None


def _lone(sizes: tuple[Dim, ...], neutral: int) -> Dim:
    """The only size that is not neutral, else None; for names that are no expressions."""
    rest = [size for size in sizes if size != neutral]
    return rest[0] if len(rest) == 1 else None


def _without(names_: tuple[str, ...], gone: tuple[str, ...]) -> tuple[str, ...] | None:
    rest = list(names_)
    for name in gone:
        if name not in rest:
            return None
        rest.remove(name)
    return tuple(rest)


def _sum_of(size: Dim) -> _Sum | None:
    if size is None:
        return None
    if isinstance(size, int):
        return {(): size} if size else {}
    tree = parse(size)
    return None if tree is None else _expand(tree)


def _expand(tree: Tree) -> _Sum | None:
    if isinstance(tree, int):
        return {(): tree} if tree else {}
    if isinstance(tree, str):
        return {(quoted(tree),): 1}
    operator, operands = tree
    if operator not in ("+", "-", "*"):
        return {(_tree_text(tree),): 1}
    left, right = _expand(operands[0]), _expand(operands[1])
    if left is None or right is None:
        return None
    if operator == "*":
        return _times(left, right)
    return _plus(left, right, 1 if operator == "+" else -1)


def _tree_text(tree: Tree) -> str:
    """The expression without superfluous blanks, for use as one name in a product."""
    if not isinstance(tree, tuple):
        return quoted(tree) if isinstance(tree, str) else str(tree)
    operator, operands = tree
    if operator in _FUNCTIONS:
        inner = [_tree_text(operand) for operand in operands]
        bare = [x[1:-1] if x.startswith("(") and x.endswith(")") else x for x in inner]
        return f"{operator}({', '.join(bare)})"
    parts = [f"({_tree_text(x)})" if isinstance(x, tuple) else _tree_text(x) for x in operands]
    return f"({operator.join(parts)})"


def _plus(a: _Sum, b: _Sum, sign: int) -> _Sum:
    total = dict(a)
    for product, count in b.items():
        total[product] = total.get(product, 0) + sign * count
    return {product: count for product, count in total.items() if count}


def _times(a: _Sum, b: _Sum) -> _Sum | None:
    if len(a) * len(b) > _MAX_TERMS:
        return None
    total: _Sum = {}
    for left, x in a.items():
        for right, y in b.items():
            total = _plus(total, {tuple(sorted((*left, *right))): x * y}, 1)
    return total if all(len(product) <= _MAX_DEGREE for product in total) else None


def _spell(total: _Sum) -> Dim:
    if len(total) > _MAX_TERMS or any(abs(count) > _MAX_COUNT for count in total.values()):
        return None
    if not total.keys() - {()}:
        return total.get((), 0)
    text = ""
    for product, count in sorted(total.items(), key=lambda item: (not item[0], item[0])):
        factors = [str(abs(count))] if abs(count) != 1 or not product else []
        joint = " + " if count > 0 else " - "
        text += (joint if text else "-" * (count < 0)) + "*".join([*factors, *product])
    return text if len(text) <= MAX_TEXT else None
