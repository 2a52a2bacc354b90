"""Sections and panels of the W&B dashboard, as text and as a workspace.

The keys are those that `tracking.loggers` and the methods log, which a test verifies.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cyclegan_ad.errors import UserError
from cyclegan_ad.metrics.thresholds import PASSED

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

# A W&B group <run_name>/<dataset> contains the runs of all seeds.
GROUP = "Group"
STEP = "trainer/global_step"
TRAIN_AUROC = "train/auroc_sse_optimistic"
"""Logged by `training.train_auroc`: the sse of images that the networks are trained on."""

# Columns of settings in the table of runs; the first two group the runs.
SETTINGS = ("dataset.name", "method.name", "resolution", "seed")

# Metrics of each column of scores.csv, with thresholds set on the test images ...
ZFN = {"zfn_accuracy": "ZFN accuracy"}
PASSED_BARS = {name: f"{name.upper()}, normal images passed" for name in PASSED}
OTHERS = {"auroc": "AUROC", "max_accuracy": "best accuracy"}
# ... and with thresholds from other images.
HONEST = {
    "crossfit/accuracy": "accuracy",
    "crossfit/miss_rate": "miss rate",
    "crossfit/false_alarm_rate": "false alarm rate",
    "crossval/miss_rate": "miss rate, crossval",
    "crossval/miss_rate_guaranteed": "guaranteed miss rate, crossval",
    "crossval/false_alarm_rate": "false alarm rate, crossval",
}

LOSSES = {
    "cycle": ("loss/cycle_normal", "loss/cycle_abnormal"),
    "identity": ("loss/identity_normal", "loss/identity_abnormal"),
    "contextual and latent (GANomaly)": ("loss/contextual", "loss/latent"),
    "adversarial": ("loss/gan_normal", "loss/gan_abnormal", "loss/adversarial"),
    "discriminator": (
        "loss/discriminator_normal",
        "loss/discriminator_abnormal",
        "loss/discriminator",
    ),
    "sum of the generators": ("loss/generator",),
    "learning rate": ("learning_rate",),
}


class Panel(NamedTuple):
    """One panel.

    Attributes:
        kind: ``bars`` (mean and standard deviation over the runs of a group), ``lines`` (mean over
            the runs of a group at each training step), ``pictures`` or ``table``.
        title: Title of the panel.
        keys: Keys of the logged values; one for a table.
    """

    kind: str
    title: str
    keys: tuple[str, ...]


class Section(NamedTuple):
    """A section of panels, and whether it is expanded initially."""

    title: str
    panels: tuple[Panel, ...]
    is_open: bool = True


def columns_in(keys: Iterable[str]) -> set[str]:
    """Return the score columns among the keys of summaries, those of normal-only runs as well.

    >>> sorted(
    ...     columns_in(["sse/auroc", "fid/quantile/false_alarm_rate", "mean/fid_x/auroc", "loss"])
    ... )
    ['fid', 'sse']
    """
    parts = [key.split("/") for key in keys]
    return {
        part[0]
        for part in parts
        if part[1:] == ["auroc"] or (len(part) == 3 and part[1] == "quantile")
    }


def plan_sections(columns: Sequence[str]) -> list[Section]:
    """Plan the sections of the dashboard.

    Args:
        columns: Columns of ``scores.csv``, such as ``sse`` and ``fid``; a run without a column has
            no bar for it.

    Returns:
        The sections from top to bottom.
    """

    def bars(metrics: dict[str, str]) -> tuple[Panel, ...]:
        return tuple(
            Panel("bars", f"{shown}, {column}", (f"{column}/{key}",))
            for key, shown in metrics.items()
            for column in columns
        )

    kinds = {
        "scores": "scores of the test images",
        "roc": "ROC curve",
        "rates": "misses and false alarms over the threshold",
    }
    curves = tuple(
        Panel("pictures", f"{title}, {column}", (f"figures/{kind}_{column}",))
        for column in columns
        for kind, title in kinds.items()
    )
    return [
        Section("Methods against datasets at ZFN (threshold set on the test images)", bars(ZFN)),
        Section("Methods against datasets with thresholds from other images", bars(HONEST)),
        Section("Normal images passed (threshold set on the test images)", bars(PASSED_BARS)),
        Section("AUROC and best accuracy (threshold set on the test images)", bars(OTHERS)),
        Section("Scores, ROC curves, thresholds", curves),
        Section(
            "Reconstructions",
            (
                Panel("pictures", "test images, after training", ("figures/reconstruction",)),
                Panel("pictures", "during training", ("reconstructions",)),
                Panel("table", "test images, scores and decisions", ("test_images",)),
            ),
        ),
        Section(
            "During training",
            (Panel("lines", "AUROC of a few training images (optimistic)", (TRAIN_AUROC,)),),
        ),
        Section(
            "Losses",
            tuple(Panel("lines", title, keys) for title, keys in LOSSES.items()),
            is_open=False,
        ),
    ]


def describe(sections: Sequence[Section]) -> Iterator[str]:
    r"""Yield the lines of a text outline of the dashboard.

    >>> panel = Panel("bars", "AUROC, sse", ("sse/auroc",))
    >>> print("\n".join(describe([Section("AUROC", (panel,))])))
    AUROC
      bars      AUROC, sse: sse/auroc
    """
    for section in sections:
        yield section.title if section.is_open else f"{section.title} (closed)"
        for panel in section.panels:
            yield f"  {panel.kind:<9} {panel.title}: {', '.join(panel.keys)}"


def build_workspace(
    sections: Sequence[Section], columns: Sequence[str], *, entity: str, project: str, name: str
) -> "Workspace":
    """Build the W&B workspace without saving it, and without network access.

    Raises:
        UserError: If the package ``wandb-workspaces`` is missing.
    """
    try:
        import wandb_workspaces.workspaces as ws
        from wandb_workspaces import expr
    except ModuleNotFoundError as error:
        raise UserError(
            "the dashboard needs the package wandb-workspaces: "
            "pip install 'cyclegan-ad[dashboard]'; dry_run=true shows the layout without it"
        ) from error

    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            ws.Section(
                name=section.title,
                panels=[_build_panel(panel) for panel in section.panels],
                is_open=section.is_open,
            )
            for section in sections
        ],
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Config(name) for name in SETTINGS[:2]],
            pinned_columns=[
                *(f"config:{_stored(name)}" for name in SETTINGS),
                *(
                    f"summary:{column}/{key}"
                    for column in columns
                    for key in ("zfn_accuracy", "pg0")
                ),
            ],
        ),
    )


def _stored(setting: str) -> str:
    """Return the path of a setting in W&B, which nests values under the key ``value``."""
    first, *rest = setting.split(".")
    return ".".join([first, "value", *rest])


def _build_panel(panel: Panel) -> Any:
    import wandb_workspaces.reports.v2 as wr

    over_seeds: dict[str, Any] = {
        "groupby": GROUP,
        "groupby_aggfunc": "mean",
        "groupby_rangefunc": "stddev",
    }
    if panel.kind == "bars":
        shares: dict[str, Any] = {"metrics": list(panel.keys), "range_x": (0.0, 1.0)}
        return wr.BarPlot(title=panel.title, **shares, **over_seeds)
    if panel.kind == "lines":
        return wr.LinePlot(title=panel.title, x=STEP, y=list(panel.keys), **over_seeds)
    if panel.kind == "pictures":
        return wr.MediaBrowser(title=panel.title, media_keys=list(panel.keys))
    return wr.WeavePanelSummaryTable(table_name=panel.keys[0])
