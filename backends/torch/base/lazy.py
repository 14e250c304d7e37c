"""torch by name, imported when something of it is first asked for.

No module here may import a framework when it is itself imported, yet the operators are torch
functions. An attribute is looked up once and then kept, so that it costs what a module's does.
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
