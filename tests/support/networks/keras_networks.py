"""Files of a user's, sound and not, written to the folder named; needs Keras and TensorFlow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
from keras import layers


def main(folder: Path) -> None:
    cnn = keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(8, 3, activation="relu", bias_initializer="uniform", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(8, 3, activation="relu", bias_initializer="uniform", name="second"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", bias_initializer="uniform", name="head"),
        ],
        name="cnn",
    )
    cnn.save(folder / "cnn.keras")
    cnn.save(folder / "cnn.h5")
    cnn.export(folder / "cnn_saved", verbose=False)
    save_others(folder)


def save_others(folder: Path) -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((None, 3), name="b")
    outputs = {"p": layers.Dense(3, name="p")(a), "q": layers.LSTM(5, name="lstm")(b)}
    keras.Model({"a": a, "b": b}, outputs).save(folder / "two.keras")
    x = keras.Input((4,), name="x")
    keras.Model(x, layers.Lambda(lambda t: t * 2)(x)).save(folder / "lambda.keras")
    flat = keras.ops.reshape(layers.Dense(3, name="head")(x), (1, -1))
    keras.Model(x, flat).save(folder / "hard.keras")
    square = keras.Input((4, 4), name="x")
    keras.Model(square, keras.ops.svd(square)[1]).save(folder / "lacking.keras")
    (folder / "damaged.keras").write_bytes(b"PK nothing")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
