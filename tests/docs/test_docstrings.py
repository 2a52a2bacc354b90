"""Docstrings of the code as the site shows them."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytest.importorskip("griffe", reason="extra 'docs'")


def test_doctests_are_fenced_and_roles_left_out() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "docstrings.py"
    spec = spec_from_file_location("docstrings", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    text = "See :func:`f`.\n\nExample:\n    >>> f()\n    1\n\nMore.\n\n>>> g()"
    assert module.as_markdown(text).splitlines() == [
        "See `f`.",
        "",
        "Example:",
        "    ```pycon",
        "    >>> f()",
        "    1",
        "    ```",
        "",
        "More.",
        "",
        "```pycon",
        ">>> g()",
        "```",
    ]
