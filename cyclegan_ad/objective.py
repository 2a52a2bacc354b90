"""What a search of settings maximises: an AUROC on images kept out of training."""

from __future__ import annotations

from cyclegan_ad.build import build_method
from cyclegan_ad.data.checks import limited, more_abnormal
from cyclegan_ad.errors import UserError
from cyclegan_ad.evaluation.evaluate_run import prepare_data
from cyclegan_ad.evaluation.kept_out import read_kept_out
from cyclegan_ad.methods.folds import assign_folds, smallest_class
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.methods.probe_fit import out_of_fold
from cyclegan_ad.metrics.thresholds import auroc
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_metrics
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.training.describe_images import describe_training_images


def objective_of_run(settings: Settings) -> float:
    """Compute the objective of a finished run.

    Of a CycleGAN it is the AUROC of the first score of ``score.names`` on its tuning images
    (``method.tuning_fraction``), of a linear probe that of ``probe``, over the 8 symmetries, on its
    training images, each judged by a fit without its fold.

    Args:
        settings: Settings of the run, checked with :func:`cyclegan_ad.cli.search.check_search`.

    Returns:
        AUROC in [0, 1].

    Raises:
        UserError: If there are too few images, or the score is missing.
    """
    if settings.method.name == "linear_probe":
        return _of_probe(settings)
    run = RunDirectory.of(settings)
    found = read_kept_out(run, read_metrics(run.path)).auroc
    column = settings.score.columns[0].column
    if column not in found:
        raise UserError(
            f"{run.tuning} has no score {column}; score the run again with "
            "python -m cyclegan_ad.evaluate"
        )
    return found[column]


def _of_probe(settings: Settings) -> float:
    data, method = prepare_data(settings), build_method(settings)
    assert isinstance(method, LinearProbe)
    describe_training_images(method, data, settings)
    images = method.described
    assert images is not None
    label, groups = smallest_class(images.labels, images.groups)
    if groups < 2:
        raise UserError(
            f"hydra/sweeper=optuna: {limited(data)} has {groups} different "
            f"{('normal', 'abnormal')[label]} training image, and judging a probe by images it "
            f"was not fitted to needs 2; {more_abnormal(data) if label else 'add normal images'}"
        )
    folds = min(method.folds, groups)
    values = out_of_fold(
        images.features,
        images.labels,
        images.groups,
        assign_folds(images.labels, images.groups, folds, method.seed),
        strengths=method.strengths,
        folds=folds,
        seed=method.seed,
        parts=method.model.parts(),
    )
    return float(auroc(values, images.labels))
