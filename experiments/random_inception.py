"""Random Inception weights, for times where the real ones cannot be downloaded; not for scores."""

import hashlib
import io
from pathlib import Path

import torch
from torchvision.models import inception_v3

from cyclegan_ad.files import replacing


def write_random_inception(torch_home: Path) -> Path:
    """Write weights of the right shapes into a file named after its hash, as for torch.hub.

    All convolutions share one storage, so that the file has 9 MB instead of 95. The batch norms
    scale each layer like a He initialisation, so that the last features depend on the image.

    Args:
        torch_home: Value of the environment variable TORCH_HOME.

    Returns:
        The file.
    """
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
    file = io.BytesIO()
    torch.save(state, file)
    name = f"random_inception-{hashlib.sha256(file.getvalue()).hexdigest()[:8]}.pth"
    path = torch_home / "hub" / "checkpoints" / name
    with replacing(path) as temporary:
        temporary.write_bytes(file.getvalue())
    return path


def address_of(weights: Path) -> str:
    """Return the value of ``pytorch_fid.inception.FID_WEIGHTS_URL`` for these weights."""
    return f"https://localhost/{weights.name}"
