"""Interface of a trained method for scoring: it reconstructs images, embeds them, or both."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from cyclegan_ad.networks.embedding import EmbeddingResult


@runtime_checkable
class Reconstructs(Protocol):
    """A trained method that reconstructs images."""

    def reconstruct(self, images: Tensor, /) -> Tensor:
        """Reconstruct images as normal: (N, C, H, W) in [-1, 1] to the same."""


@runtime_checkable
class Translates(Reconstructs, Protocol):
    """A trained method with all four networks of a CycleGAN, of which one reconstructs."""

    def make_abnormal(self, images: Tensor, /) -> Tensor:
        """Translate to abnormal images: (N, C, H, W) in [-1, 1] to the same."""

    def judge_normal(self, images: Tensor, /) -> Tensor:
        """Judge patches as normal ones: (N, C, H, W) in [-1, 1] to (N, 1, h, w), high = real."""

    def judge_abnormal(self, images: Tensor, /) -> Tensor:
        """Judge patches as abnormal ones, likewise."""


@runtime_checkable
class Embeds(Protocol):
    """A trained method that compares embeddings of images with those of normal ones."""

    def embed(self, images: Tensor, /) -> EmbeddingResult:
        """Compare images, (N, C, H, W) in [-1, 1], with normal ones."""


TrainedMethod: TypeAlias = Reconstructs | Embeds


@runtime_checkable
class Saves(Protocol):
    """A trained method whose network for inference can be saved."""

    def inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of this network."""


@runtime_checkable
class SavesAll(Saves, Protocol):
    """One that can also be saved with all that its signals need."""

    def full_inference_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return arguments and tensors of all its networks."""
