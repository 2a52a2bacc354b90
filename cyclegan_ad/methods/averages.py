"""Exponential moving averages of the weights of networks.

The last weights of a GAN depend on its last few batches; their average over some hundred steps
gives steadier images (Yazici et al., 2019, "The unusual effectiveness of averaging in GAN
training").
"""

from collections.abc import Mapping
from copy import deepcopy

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverages(nn.ModuleDict):
    """Copies of networks whose weights are averages over the steps of a training.

    They get no gradients, and are saved in checkpoints with the networks themselves.

    Args:
        networks: Name -> network, with its initial weights.
        decay: Share of the old average in the new one, in [0, 1): 0.995 averages over about 200
            steps.
    """

    def __init__(self, networks: Mapping[str, nn.Module], decay: float) -> None:
        super().__init__(
            {name: deepcopy(network).requires_grad_(False) for name, network in networks.items()}
        )
        self.decay = decay

    def add(self, networks: Mapping[str, nn.Module], step: int) -> None:
        """Add the weights after a step.

        In the first steps the decay is ``(1 + step) / (10 + step)`` if that is smaller, so that
        the initial weights are soon forgotten.

        Args:
            networks: Name -> network, of the names given at first.
            step: Number of the step, from 1.
        """
        average = get_ema_multi_avg_fn(min(self.decay, (1 + step) / (10 + step)))
        for name, kept in self.items():
            average(list(kept.parameters()), list(networks[name].parameters()), step)
