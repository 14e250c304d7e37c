"""The folders that onnxprof keeps things in, and the environment variables that move them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

#: Stored runs; `runs` in the current folder where it is not set.
STORE = "ONNXPROF_STORE"
#: Made and downloaded models, parts of sites, timings of tactics; by default the user's cache.
CACHE = "ONNXPROF_CACHE"
#: Locks of devices and of sites; by default the user's runtime folder.
LOCKS = "ONNXPROF_LOCKS"
#: Hugging Face's downloads; by default the folder of huggingface_hub.
HUGGING_FACE = "HF_HUB_CACHE"


def expanded(text: str | Path) -> Path:
    """A path as a user writes it: `~` and `~user` stand for home folders, quoted or not."""
    return Path(os.path.expanduser(text))


def chosen(variable: str) -> Path | None:
    """The folder that an environment variable names; None where it is unset or empty."""
    given = os.environ.get(variable, "").strip()
    return expanded(given) if given else None


def store(given: str | Path | None = None) -> Path:
    """The folder of runs: the one given as an option, the variable's, else `runs`."""
    return expanded(given) if given else chosen(STORE) or Path("runs")


def cache() -> Path:
    """The folder of files that can be made or downloaded again."""
    from platformdirs import user_cache_path

    return chosen(CACHE) or user_cache_path("onnxprof")


def locks() -> Path:
    """The folder of locks, shared by the onnxprof processes of one user."""
    return chosen(LOCKS) or _runtime()


def _runtime() -> Path:
    from platformdirs import user_runtime_path

    with warnings.catch_warnings():  # without a login session it warns and takes a temporary one
        warnings.simplefilter("ignore")
        return user_runtime_path("onnxprof")
