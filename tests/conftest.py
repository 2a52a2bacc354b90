"""Fixtures shared by the whole suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cyclegan_ad  # noqa: F401  (first: it lets torchvision be imported beside a CPU build of torch)

# Too large for tests/golden.
KEPT_BESIDE = ("training_step_rgb.npz",)


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Path]:
    """Gives a file of numbers computed once with the paper authors' published code, by its name.

    What ``tests/golden`` does not hold may lie beside the checkout; where it does not, the test
    that asks for it is skipped.
    """
    tests = Path(__file__).resolve().parent
    beside = tests.parents[1] / "shared" / "golden"

    def find(name: str) -> Path:
        if (tests / "golden" / name).is_file():
            return tests / "golden" / name
        if name not in KEPT_BESIDE:
            pytest.fail(f"tests/golden/{name} is missing: this checkout is not complete")
        if not (beside / name).is_file():
            pytest.skip(f"{name} is not in ../shared/golden, beside the checkout")
        return beside / name

    return find


@pytest.fixture(scope="session")
def inception_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TORCH_HOME with random weights in place of pytorch-fid's; use it through ``torch_home``.

    All convolutions share one storage, which makes the file 9 MB instead of 95. The batch norms
    scale each layer as a He initialisation would, so that the image shows in the last features.
    """
    import torch
    from torchvision.models import inception_v3

    with torch.device("meta"):
        network = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    noise = torch.randn(
        max(shape.numel() for shape in shapes.values()), generator=torch.Generator().manual_seed(0)
    )
    state = {name: noise[: shape.numel()].view(shape) for name, shape in shapes.items()}
    for name, weight in list(state.items()):
        if name.endswith(".conv.weight"):
            layer = name.removesuffix(".conv.weight") + ".bn"
            gain = (2 / weight[0].numel()) ** 0.5
            state[f"{layer}.weight"] = torch.full((len(weight),), gain)
            state[f"{layer}.bias"] = torch.zeros(len(weight))
            state[f"{layer}.running_mean"] = torch.zeros(len(weight))
            state[f"{layer}.running_var"] = torch.ones(len(weight))
            state[f"{layer}.num_batches_tracked"] = torch.tensor(0)
    home = tmp_path_factory.mktemp("torch_home")
    path = home / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    path.parent.mkdir(parents=True)
    torch.save(state, path)
    return home


@pytest.fixture
def torch_home(inception_stand_in: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make torch find the random Inception weights; gives the folder."""
    monkeypatch.setenv("TORCH_HOME", str(inception_stand_in))
    return inception_stand_in
