"""torch by name, imported when an attribute is first used.

Modules here must not import a framework at import time, yet operators are torch functions. An
attribute is looked up once and then cached, so that later accesses cost no more than a module's.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Lazy:
    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self._module), name)
        setattr(self, name, value)
        return value


#: `import torch`
torch: Any = _Lazy("torch")
#: `import torch.nn.functional as F`
F: Any = _Lazy("torch.nn.functional")
