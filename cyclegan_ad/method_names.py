"""The methods, and what the rest of the program has to know of each; without torch."""

from dataclasses import dataclass

RECONSTRUCTION_SCORES = ("sse", "fid", "fid_spatial", "peak", "standardised")
# Distance to what a method has learnt from normal images, without a reconstruction.
EMBEDDING = "embedding"


@dataclass(frozen=True)
class Method:
    """What distinguishes a method.

    Attributes:
        title: How tables name it.
        sides: Classes whose training images it sees.
        fitted: Whether it is fitted in one pass over the images instead of trained by gradient.
        scores: Scores that it has.
        batch_summed: Whether the paper's code gave one score to each batch of 16, so that its
            figures for this method say nothing about it.
    """

    title: str
    sides: tuple[str, ...]
    fitted: bool
    scores: tuple[str, ...]
    batch_summed: bool


_NORMAL = ("normal",)
METHODS = {
    "cyclegan": Method("CycleGAN", ("normal", "abnormal"), False, RECONSTRUCTION_SCORES, False),
    "ganomaly": Method("GANomaly", _NORMAL, False, (*RECONSTRUCTION_SCORES, EMBEDDING), False),
    "padim": Method("PaDiM", _NORMAL, True, (EMBEDDING,), True),
    "patchcore": Method("PatchCore", _NORMAL, True, (EMBEDDING,), True),
}
