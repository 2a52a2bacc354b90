"""The methods and their properties; without torch."""

from dataclasses import dataclass, replace

RECONSTRUCTION_SCORES = ("sse", "fid", "fid_spatial", "peak", "standardised")
# Scores from all four networks of a CycleGAN.
SIGNALS = (
    *("change_abnormal", "peak_abnormal", "change_ratio", "cycle_normal", "cycle_abnormal"),
    *("critic_normal", "critic_normal_peak", "critic_abnormal", "critic_abnormal_peak", "critics"),
)
# Score from the features of an image, without a reconstruction.
EMBEDDING = "embedding"
# Decision value of the linear probe, and that by the highest responses of its map alone.
PROBE_SCORES = ("probe", "probe_peak")
# One number from the signals and a linear probe, or from the signals alone.
FUSED = ("fused", "fused_signals")

SQUARED_DIFFERENCE = "squared difference of image and reconstruction"


@dataclass(frozen=True, kw_only=True)
class Method:
    """Properties of a method.

    Attributes:
        title: Title in tables.
        class_path: LightningModule of the method, as ``module:class``.
        scores: Scores of the method.
        train_classes: Classes of its training images.
        fitted: Whether it is fitted in one pass over the images instead of trained by gradient.
        needs_anomalib: Whether it uses networks of anomalib.
        mixed_precision: Whether ``trainer.precision=auto`` may choose bfloat16.
        checkpoints_activations: Whether ``trainer.activation_checkpointing`` saves memory.
        backbone: Name of its pretrained network in the paper, the default; None if it has none.
        batch_summed: Whether the paper's code computed one score per batch of 16, so that the
            paper's results for this method are not comparable.
        refits: Whether it can be fitted again without some images, at little cost.
        row_per_resolution: Whether the paper has results for several resolutions, not only 256 px.
        map_shows: Meaning of the values of its anomaly map.
    """

    title: str
    class_path: str
    scores: tuple[str, ...]
    train_classes: tuple[str, ...] = ("normal",)
    fitted: bool = False
    needs_anomalib: bool = True
    mixed_precision: bool = False
    checkpoints_activations: bool = False
    backbone: str | None = None
    batch_summed: bool = False
    refits: bool = False
    row_per_resolution: bool = False
    map_shows: str = SQUARED_DIFFERENCE

    @property
    def reconstructs(self) -> bool:
        """Whether it reconstructs images, beside scoring them."""
        return not set(self.scores).isdisjoint(RECONSTRUCTION_SCORES)


_CYCLEGAN = Method(
    title="CycleGAN",
    class_path="cyclegan_ad.methods.cyclegan:CycleGAN",
    scores=(*RECONSTRUCTION_SCORES, *SIGNALS, *FUSED),
    train_classes=("normal", "abnormal"),
    needs_anomalib=False,
    mixed_precision=True,
    checkpoints_activations=True,
    row_per_resolution=True,
)
METHODS = {
    "cyclegan": _CYCLEGAN,
    "cyclegan_plus": replace(_CYCLEGAN, title="CycleGAN+", row_per_resolution=False),
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
        map_shows="distance to the features of normal images",
        batch_summed=True,
    ),
    "patchcore": Method(
        title="PatchCore",
        class_path="cyclegan_ad.methods.patchcore:PatchCore",
        scores=(EMBEDDING,),
        fitted=True,
        backbone="wide_resnet50_2",
        map_shows="distance to the nearest normal feature",
        batch_summed=True,
    ),
    "linear_probe": Method(
        title="Linear probe",
        class_path="cyclegan_ad.methods.linear_probe:LinearProbe",
        scores=PROBE_SCORES,
        train_classes=("normal", "abnormal"),
        fitted=True,
        needs_anomalib=False,
        backbone="efficientnet_lite0",
        map_shows="contribution to the score",
        refits=True,
    ),
}

_normal_only = [name for name, of in METHODS.items() if of.train_classes == ("normal",)]
NORMAL_ONLY = f"{', '.join(_normal_only[:-1])} or {_normal_only[-1]}"
"""Names of the methods that train without abnormal images, for messages."""
