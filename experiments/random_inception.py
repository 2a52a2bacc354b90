"""Random weights in place of the Inception's, where the real ones cannot be downloaded.

Times do not depend on the values of weights; scores do, so no result is computed with these.
"""

from pathlib import Path

import torch
from torchvision.models import inception_v3

from cyclegan_ad.files import replacing

WEIGHTS_FILE = "pt_inception-2015-12-05-6726825d.pth"  # pytorch-fid's name


def write_random_inception(torch_home: Path) -> Path:
    """Write weights of the right shapes where pytorch-fid looks for its own.

    All convolutions share one storage, which makes the file 9 MB instead of 95. The batch norms
    scale each layer as a He initialisation would, so that the image shows in the last features.

    Args:
        torch_home: Folder to be named by the environment variable TORCH_HOME.

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
    path = torch_home / "hub" / "checkpoints" / WEIGHTS_FILE
    with replacing(path) as temporary:
        torch.save(state, temporary)
    return path
