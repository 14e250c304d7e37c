"""Operators of the domain ai.onnx.ml. Their parameters are attributes."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Estimate, Formula, Work
from onnxprof.cost.operators.elementwise import FUNCTIONS
from onnxprof.cost.operators.move import OPERATORS as _MOVES
from onnxprof.cost.operators.normalise import softmax_of


def _rows(call: Call) -> tuple[Size, Size]:
    """(rows, features) of the input; one axis is one row."""
    shape = call.shape()
    return (shape[0], product(shape[1:])) if len(shape) > 1 else (1, product(shape))


def _ending(call: Call, scores: Size, rows: Size) -> Work:
    """The function that is applied to the scores."""
    name = call.text("post_transform", "NONE") or "NONE"
    if name.startswith("SOFTMAX"):
        return softmax_of(scores, rows)
    if name == "LOGISTIC":
        return FUNCTIONS["Sigmoid"] * scores
    return Work(exponentials=scores) if name == "PROBIT" else Work()


def _classifier(call: Call) -> Work:
    rows, features = _rows(call)
    classes = call.length("coefficients") // int(features) if isinstance(features, int) else 0
    scores = rows * max(classes, 1)
    picked = Work(comparisons=rows * max(classes - 1, 1))
    return Work(macs=scores * features, adds=scores) + picked + _ending(call, scores, rows)


def _regressor(call: Call) -> Work:
    rows, features = _rows(call)
    scores = rows * call.integer("targets", 1)
    return Work(macs=scores * features, adds=scores) + _ending(call, scores, rows)


def _kernel(call: Call, vectors: int) -> Work:
    """One product with each support vector, and the kernel's function."""
    rows, features = _rows(call)
    pairs = rows * vectors
    kind = call.text("kernel_type", "LINEAR") or "LINEAR"
    if kind == "RBF":
        return Work(
            adds=pairs * features, macs=pairs * features, multiplies=pairs, exponentials=pairs
        )
    ending = Work(exponentials=pairs) if kind in ("POLY", "SIGMOID") else Work()
    shift = Work(adds=pairs, multiplies=pairs) if kind in ("POLY", "SIGMOID") else Work()
    return Work(macs=pairs * features) + ending + shift


def _svm_regressor(call: Call) -> Work:
    vectors = call.integer("n_supports", 0)
    rows, _ = _rows(call)
    return _kernel(call, vectors or 1) + Work(macs=rows * max(vectors, 1), adds=rows)


def _svm_classifier(call: Call) -> Work:
    """Each pair of classes has a vote."""
    counts = call.integers("vectors_per_class")
    classes = max(len(counts), 2)
    rows, _ = _rows(call)
    votes = rows * (classes * (classes - 1) // 2)
    combined = Work(macs=rows * sum(counts) * (classes - 1), adds=votes, comparisons=votes)
    return _kernel(call, sum(counts) or 1) + combined


def _trees(call: Call) -> Estimate:
    """At most every node of every tree is compared, and every leaf added."""
    rows, _ = _rows(call)
    nodes = call.length("nodes_featureids") or call.length("nodes_splits")
    work = Work(comparisons=rows * nodes, adds=rows * nodes)
    return Estimate(work, bound="the path through a tree is data: all of its nodes count")


def _scaler(call: Call) -> Work:
    return Work(adds=1, multiplies=1) * call.out_elements()


def _normalizer(call: Call) -> Work:
    size = call.elements()
    rows, _ = _rows(call)
    norm = call.text("norm", "MAX") or "MAX"
    if norm == "L2":
        return Work(adds=size - rows, multiplies=size, divisions=size, exponentials=rows)
    found = Work(adds=size - rows) if norm == "L1" else Work(comparisons=size - rows)
    return found + Work(divisions=size)


def _each(call: Call) -> Work:
    return Work(comparisons=1) * call.out_elements()


OPERATORS: Mapping[str, Formula] = {
    "ArrayFeatureExtractor": _MOVES["Gather"],
    "Binarizer": _each,
    "FeatureVectorizer": _MOVES["Concat"],
    "Imputer": _each,
    "LabelEncoder": _each,
    "CategoryMapper": _each,
    "OneHotEncoder": _each,
    "LinearClassifier": _classifier,
    "LinearRegressor": _regressor,
    "Normalizer": _normalizer,
    "SVMClassifier": _svm_classifier,
    "SVMRegressor": _svm_regressor,
    "Scaler": _scaler,
    "TreeEnsemble": _trees,
    "TreeEnsembleClassifier": _trees,
    "TreeEnsembleRegressor": _trees,
}
