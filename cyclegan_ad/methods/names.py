"""The methods, and what the rest of the program must know of each; without torch."""

from dataclasses import dataclass

RECONSTRUCTION_SCORES = ("sse", "fid", "fid_spatial", "peak", "standardised")
# Distance to what a method has learnt from normal images, without a reconstruction.
EMBEDDING = "embedding"


@dataclass(frozen=True, kw_only=True)
class Method:
    """What distinguishes a method.

    Attributes:
        title: Its title in tables.
        class_path: Its LightningModule, as ``module:class``.
        scores: Scores that it has.
        train_classes: Classes of the images it is trained on.
        fitted: Whether it is fitted in one pass over the images instead of trained by gradient.
        needs_anomalib: Whether it is built from networks of anomalib.
        mixed_precision: Whether ``trainer.precision=auto`` may choose bfloat16.
        checkpoints_activations: Whether ``trainer.activation_checkpointing`` saves memory.
        saves_detector: Whether a run ends with a saved detector.
        backbone: Name of its pretrained network in the paper, the default; None if it has none.
        batch_summed: Whether the paper's code gave one score to each batch of 16, so that its
            figures for this method say nothing about it.
        row_per_resolution: Whether the paper has results for several resolutions, not only 256 px.
    """

    title: str
    class_path: str
    scores: tuple[str, ...]
    train_classes: tuple[str, ...] = ("normal",)
    fitted: bool = False
    needs_anomalib: bool = True
    mixed_precision: bool = False
    checkpoints_activations: bool = False
    saves_detector: bool = False
    backbone: str | None = None
    batch_summed: bool = False
    row_per_resolution: bool = False


METHODS = {
    "cyclegan": Method(
        title="CycleGAN",
        class_path="cyclegan_ad.methods.cyclegan:CycleGAN",
        scores=RECONSTRUCTION_SCORES,
        train_classes=("normal", "abnormal"),
        needs_anomalib=False,
        mixed_precision=True,
        checkpoints_activations=True,
        saves_detector=True,
        row_per_resolution=True,
    ),
    "ganomaly": Method(
        title="GANomaly",
        class_path="cyclegan_ad.methods.ganomaly:GANomaly",
        scores=(*RECONSTRUCTION_SCORES, EMBEDDING),
    ),
    "padim": Method(
        title="PaDiM",
        class_path="cyclegan_ad.methods.padim:PaDiM",
        scores=(EMBEDDING,),
        fitted=True,
        backbone="resnet18",
        batch_summed=True,
    ),
    "patchcore": Method(
        title="PatchCore",
        class_path="cyclegan_ad.methods.patchcore:PatchCore",
        scores=(EMBEDDING,),
        fitted=True,
        backbone="wide_resnet50_2",
        batch_summed=True,
    ),
}
