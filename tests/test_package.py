"""The package as it is installed: what it imports, what it depends on."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cyclegan_ad

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = (
    *("dev", "efficientnet", "tensorboard", "baselines", "launchers", "dashboard"),
    *("medical", "heif", "export", "elpv", "inspector", "docs"),
)
# What a CUDA build of torch brings; its versions are torch's own business.
CUDA_ONLY = re.compile(r"nvidia-.*|cuda-.*|triton")


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_import_loads_no_heavy_library() -> None:
    code = (
        "import sys, cyclegan_ad; heavy = {'torch', 'torchvision', 'numpy', 'pytorch_lightning',"
        "'hydra', 'wandb', 'matplotlib'} & set(sys.modules); sys.exit(', '.join(heavy) or None)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr


def test_version_is_that_of_the_changelog() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", cyclegan_ad.__version__)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    # Before the first release there is no other heading.
    assert headings[1:2] in ([], [cyclegan_ad.__version__])


def test_every_package_of_the_environment_is_pinned(project: dict, pins: dict[str, str]) -> None:
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *(r for extra in EXTRAS for r in extras[extra])]
    queue, seen, unpinned = [Requirement(text) for text in wanted], set(), set()
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or CUDA_ONLY.fullmatch(name):
            continue
        seen.add(key)
        if name not in pins:
            unpinned.add(name)
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        for need in map(Requirement, needs):
            environments = [{"extra": extra} for extra in (*requirement.extras, "")]
            if need.marker is None or any(need.marker.evaluate(env) for env in environments):
                queue.append(need)
    assert not unpinned


def test_pins_satisfy_the_declared_bounds(project: dict, pins: dict[str, str]) -> None:
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == set(EXTRAS)
    wanted = [*project["project"]["dependencies"], *(r for extra in extras for r in extras[extra])]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} has no pin"
        assert requirement.specifier.contains(pins[name]), name


def test_make_lets_python_keep_compiled_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that many container images set would compile torch at each start of a command."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    show = 'show: ; @echo "given <$$PYTHONDONTWRITEBYTECODE>"'
    command = ["make", "-s", "--no-print-directory", "--eval", show, "show"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "given <>\n"
