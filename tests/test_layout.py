"""The map of the house: which package may import which, and what is never loaded with it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cyclegan_ad

ROOT = Path(cyclegan_ad.__file__).parent

# Packages and modules, the lowest first: each imports itself and what stands on a line above it.
# CONTRIBUTING.md prints the same.
FLOORS = """
errors, text
files, endings, hardware, device, optional_packages, torchvision_compat
metrics, pretrained
networks
methods
data
scoring
settings
runs
reference
display, out_of_memory
detector
tracking, build
training, evaluation, exporting
finished_run
processes, reporting, inspection, objective
job
cli
train, evaluate, predict, calibrate, export, inspector, report, dashboard
__main__
"""
FLOOR = {
    name: number
    for number, line in enumerate(FLOORS.strip().splitlines())
    for name in line.split(", ")
}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(path: Path, everywhere: bool = True) -> Iterator[str]:
    """Modules of ours that a file imports; not ``everywhere``: when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def place(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"cyclegan_ad"}))
def test_each_module_imports_what_stands_below_it(module: str) -> None:
    own = place(module)
    assert own in FLOOR, f"{own} is not on the map"
    for other in imports(MODULES[module]):
        if other in MODULES and other != "cyclegan_ad" and place(other) != own:
            assert FLOOR[place(other)] < FLOOR[own], f"{module} imports {other}"


def test_no_module_imports_in_a_circle() -> None:
    waiting = {
        name: {other for other in imports(path, everywhere=False) if other in MODULES}
        for name, path in MODULES.items()
    }
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"these import each other: {sorted(waiting)}"
        for name in free:
            del waiting[name]


def test_the_map_is_printed_for_contributors() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert FLOORS.strip() in text


def loaded_with(prefixes: tuple[str, ...], others: set[str]) -> set[str]:
    """Which of some packages are loaded with all modules whose names begin so."""
    names = [name for name in MODULES if name.removeprefix("cyclegan_ad.").startswith(prefixes)]
    code = f"import sys, {', '.join(names)}; print(*{others} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_computes_loads_no_framework() -> None:
    pure = ("networks", "scoring", "metrics", "pretrained")
    frameworks = {"pytorch_lightning", "lightning", "hydra", "wandb"}
    assert loaded_with(pure, frameworks) == set()


def test_what_checks_loads_no_torch() -> None:
    front = ("cli", "settings", "hardware")
    names = ("methods.names", "scoring.names", "pretrained.names", "tracking.wandb_checks")
    assert loaded_with((*front, *names), {"torch", "pytorch_lightning"}) == set()
