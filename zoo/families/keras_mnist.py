"""The MNIST pair of Keras's first examples, exported from Keras."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_keras import keras_source

_TASK = "digit recognition, 10 classes"
_PIXELS = Fill("uniform")

ENTRIES = (
    Entry(
        "mnist-mlp",
        "MLP 784-512-512-10 (Keras)",
        _TASK,
        "Keras, examples/mnist_mlp.py",
        2015,
        (Input("image", ("batch", 784), fill=_PIXELS),),
        "onnxprof, in Keras, after its example",
        Published(669_706, 668_672, "Keras: the example's summary; MACs by hand from its shapes"),
    ),
    Entry(
        "mnist-cnn",
        "CNN conv32-conv64-pool-dense128-10 (Keras)",
        _TASK,
        "Keras, examples/mnist_cnn.py",
        2015,
        (Input("image", ("batch", 28, 28, 1), fill=_PIXELS),),
        "onnxprof, in Keras, after its example",
        Published(
            1_199_882, 11_992_448, "Keras: the example's summary; MACs by hand from its shapes"
        ),
    ),
)

#: The gain holds the spread of the logits to about 1, so that no softmax output is tiny.
SOURCES: dict[str, Source] = {
    "mnist-mlp": keras_source("keras_mnist:mlp", ("dense_2/kernel", 1 / 4)),
    "mnist-cnn": keras_source("keras_mnist:cnn", ("dense_1/kernel", 1 / 4)),
}
