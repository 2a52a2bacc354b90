"""Make the CUDA build of torchvision importable with a CPU build of torch.

The Linux wheel of torchvision on PyPI is built for CUDA. With a CPU build of torch its compiled
library does not load, and the import of torchvision fails when it registers a fake implementation
of an operator of that library ("operator torchvision::nms does not exist"). The imports of
pytorch_lightning, torchmetrics and pytorch_fid then fail as well.

:func:`install_import_hook` installs a finder that finds no modules itself, but waits for the import
of ``torchvision._meta_registrations``, the module with these registrations. By then torchvision has
tried to load its library. If that failed, the operators are declared (name and signature, without
an implementation), and the import continues. Everything in torchvision works then except the
compiled operators (such as ``torchvision.ops.nms`` and ``torchvision.io.decode_image``), which
still raise an error about the missing library.

Nothing is declared if the library loads, or with a CUDA or ROCm build of torch, where a mismatch
with torchvision must not be hidden.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# The operators that torchvision registers even without its library. Declaring one that a version of
# torchvision lacks is harmless, as nothing calls it.
_OPERATORS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

# The declarations live as long as the Library objects.
_declarations: list[Any] = []


def install_import_hook() -> None:
    """Make a later ``import torchvision`` work where its library cannot load.

    Do nothing on systems other than Linux, if torchvision is already imported, or if called again.
    """
    there = any(isinstance(finder, _OperatorFinder) for finder in sys.meta_path)
    if sys.platform == "linux" and "torchvision" not in sys.modules and not there:
        sys.meta_path.insert(0, _OperatorFinder())


class _OperatorFinder:
    """Finder that waits for the module that registers the operators, then removes itself."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name == "torchvision._meta_registrations":
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _declare_missing_operators()


def _declare_missing_operators() -> None:
    """Declare the operators if the library did not load with a CPU build of torch."""
    import torch

    extension = sys.modules.get("torchvision.extension")
    if extension is None or extension._has_ops():
        return
    if torch.version.cuda is not None or torch.version.hip is not None:
        return
    # Declaring an operator twice aborts the process, hence the check.
    missing = [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in missing:
        library.define(name + _SIGNATURE)
    _declarations.append(library)
