"""The MNIST networks of Keras's first examples, `mnist_mlp` and `mnist_cnn`."""

from __future__ import annotations

import keras
from keras import layers


def mlp() -> keras.Model:
    """Two hidden layers of 512, with dropout."""
    return keras.Sequential(
        [
            keras.Input((784,), name="image"),
            layers.Dense(512, activation="relu", name="dense"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(512, activation="relu", name="dense_1"),
            layers.Dropout(0.2, name="dropout_1"),
            layers.Dense(10, activation="softmax", name="dense_2"),
        ],
        name="mnist_mlp",
    )


def cnn() -> keras.Model:
    """Two convolutions without padding, one pooling, a hidden layer of 128."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(32, 3, activation="relu", name="conv2d"),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(2, name="max_pooling2d"),
            layers.Dropout(0.25, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense"),
            layers.Dropout(0.5, name="dropout_1"),
            layers.Dense(10, activation="softmax", name="dense_1"),
        ],
        name="mnist_cnn",
    )
