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
        mixed_precision: Whether ``trainer.precision=auto`` may take bfloat16.
        batch_summed: Whether the paper's code gave one score to each batch of 16, so that its
            figures for this method say nothing about it.
    """

    title: str
    sides: tuple[str, ...]
    fitted: bool
    scores: tuple[str, ...]
    mixed_precision: bool
    batch_summed: bool


_NORMAL = ("normal",)
METHODS = {
    "cyclegan": Method(
        title="CycleGAN",
        sides=("normal", "abnormal"),
        fitted=False,
        scores=RECONSTRUCTION_SCORES,
        mixed_precision=True,
        batch_summed=False,
    ),
    "ganomaly": Method(
        title="GANomaly",
        sides=_NORMAL,
        fitted=False,
        scores=(*RECONSTRUCTION_SCORES, EMBEDDING),
        mixed_precision=False,
        batch_summed=False,
    ),
    "padim": Method(
        title="PaDiM",
        sides=_NORMAL,
        fitted=True,
        scores=(EMBEDDING,),
        mixed_precision=False,
        batch_summed=True,
    ),
    "patchcore": Method(
        title="PatchCore",
        sides=_NORMAL,
        fitted=True,
        scores=(EMBEDDING,),
        mixed_precision=False,
        batch_summed=True,
    ),
}
