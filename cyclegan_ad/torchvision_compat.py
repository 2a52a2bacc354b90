"""Lets torchvision's CUDA build be imported beside a CPU build of torch.

The Linux wheel of torchvision on the package index is built for CUDA. Beside a CPU-only torch its
compiled library does not load, and the import of torchvision then stops at the first operator of
that library it describes to torch ("operator torchvision::nms does not exist"); the imports of
pytorch_lightning, torchmetrics and pytorch_fid stop with it.

:func:`install_import_hook` puts a finder in front of the import system. It finds nothing itself: it
waits for ``torchvision._meta_registrations``, the module that describes the operators. At that
moment torchvision has already tried to load its library and says whether it did. If it did not, the
operators are declared (name and signature, no code), and the import goes on. Everything in
torchvision works then, except the compiled operators themselves (``torchvision.ops.nms`` and the
like, ``torchvision.io.decode_image``), which still say that the library is missing.

With a library that loads, or with a CUDA or ROCm build of torch, whose mismatch with torchvision
must be seen, nothing is declared.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# The operators that torchvision describes to torch whether or not its library is there. One that a
# version of torchvision does not have may be declared all the same: nothing calls it.
_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# torch forgets the declarations when the object that made them goes.
_declarations: list[Any] = []


def install_import_hook() -> None:
    """Makes a later ``import torchvision`` work where its library cannot load. Imports nothing.

    Does nothing on other systems than Linux, if torchvision is there already, or if called again.
    """
    there = any(isinstance(finder, _OperatorFinder) for finder in sys.meta_path)
    if sys.platform == "linux" and "torchvision" not in sys.modules and not there:
        sys.meta_path.insert(0, _OperatorFinder())


class _OperatorFinder:
    """Waits for the module of torchvision that describes the operators, then steps aside."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name == "torchvision._meta_registrations":
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _declare_missing_operators()


def _declare_missing_operators() -> None:
    """Declares the operators, if torchvision's library did not load beside a CPU build of torch."""
    import torch

    extension = sys.modules.get("torchvision.extension")
    if extension is None or extension._has_ops():
        return
    if torch.version.cuda is not None or torch.version.hip is not None:
        return
    # Declaring an operator twice ends the process, hence the question for each.
    missing = [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(name + _SIGNATURE)
    _declarations.append(library)
