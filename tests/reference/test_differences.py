"""What of a run was not as in the paper."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from errors import refuses
from reporting.fake_runs import make_run
from tiny import compose_settings

from cyclegan_ad.reference.differences import differences_from_paper, differences_of_run
from cyclegan_ad.reference.paper import paper_settings, paper_table1
from cyclegan_ad.reference.table2 import PAPER_METRICS, paper_figure
from cyclegan_ad.runs.results import SplitRow
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings


def split_of(dataset: str, test: int | None = None, **more: int) -> list[SplitRow]:
    """As many images as the paper's, ``test`` of each class tested; ``more`` files of a subset."""
    sizes = paper_table1()[dataset]
    test = sizes.behind_table2 if test is None else test
    counts = {
        0: sizes.train_normal + sizes.test_normal,
        1: sizes.train_abnormal + sizes.test_abnormal,
    }
    rows = [
        SplitRow(f"{label}/{i}", "", label, "test" if i < test else "train")
        for label, count in counts.items()
        for i in range(count)
    ]
    for subset, count in more.items():
        rows += [SplitRow(f"{subset}/{i}", "", -1, subset) for i in range(count)]
    return rows


def config_of(dataset: str, *words: str) -> Settings:
    words = (f"dataset={dataset}", "trainer.precision=32-true", *words)
    return read_settings(Settings, compose_settings("train", words))


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("screw", []),
        ("screw", ["seed=4", "score=peak", "protocol=crossfit", "logger=none", "trainer=cpu"]),
        ("retina_oct", ["resolution=256"]),
        ("tile", ["method=ganomaly", "resolution=256"]),
        ("wood", ["method=padim", "resolution=256", "dataset.skip_unreadable=true"]),
        ("brain_mri", ["method=patchcore", "resolution=256"]),
        ("own", ["dataset.name=own", "trainer.max_epochs=1"]),
    ],
)
def test_nothing_departs(dataset: str, words: list[str]) -> None:
    if dataset == "own":
        assert differences_from_paper(config_of("folder", *words), []) == ()
    else:
        assert differences_from_paper(config_of(dataset, *words), split_of(dataset)) == ()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["method.lambda_cyc=0"], ["method.lambda_cyc=0 (paper: 10)"]),
        (["method.learning_rate=0.0002001"], ["method.learning_rate=0.0002001 (paper: 0.0002)"]),
        (["dataset.batch_size=1"], ["dataset.batch_size=1 (paper: 16)"]),
        (["dataset.augmentation=none"], ["dataset.augmentation=none (paper: dihedral)"]),
        (["method.pool_size=0"], ["method.pool_size=0 (paper: 50)"]),
        (["method.betas=[0.9,0.999]"], ["method.betas=[0.9,0.999] (paper: [0.5,0.999])"]),
        (["method.adversarial_loss=log"], ["method.adversarial_loss=log (paper: least_squares)"]),
        (["method.decay_start_epoch=20"], ["method.decay_start_epoch=20 (paper: 100)"]),
        (["trainer.precision=bf16-mixed"], ["trainer.precision=bf16-mixed (paper: 32-true)"]),
        (["trainer=ddp", "trainer.devices=4"], ["trainer.devices=4 (paper: 1)"]),
        (["protocol=calibrated"], ["protocol.calibration_fraction=0.2 (paper: 0)"]),
        (["dataset.channels=3"], ["dataset.channels=3 (paper: 1)"]),
        (["dataset.max_abnormal=5"], ["dataset.max_abnormal=5 (paper: null)"]),
        (["method.tuning_fraction=0.2"], ["method.tuning_fraction=0.2 (paper: 0)"]),
        (
            ["method=ganomaly", "resolution=256", "trainer.max_epochs=1"],
            ["trainer.max_epochs=1 (paper: 200)"],
        ),
        (["method=ganomaly", "resolution=64"], ["resolution=64 (paper: 256)"]),
        (
            ["method=padim", "resolution=256", "method.pretrained=false"],
            ["method.pretrained=false (paper: true)"],
        ),
        (
            ["method=patchcore", "resolution=256", "backbone=efficientnet_lite0"],
            [
                "method.backbone=efficientnet_lite0 (paper: wide_resnet50_2)",
                "method.layers=[blocks.2,blocks.4] (paper: [layer2,layer3])",
            ],
        ),
        (
            ["dataset.base_channels=16", "dataset.copies_per_epoch=1"],
            [
                "dataset.copies_per_epoch=1 (paper: 9)",
                "method.discriminator.base_channels=16 (paper: 64)",
                "method.generator.base_channels=16 (paper: 64)",
            ],
        ),
    ],
)
def test_settings_that_are_not_the_papers(words: list[str], found: list[str]) -> None:
    assert differences_from_paper(config_of("screw", *words), split_of("screw")) == tuple(found)


def test_whatever_makes_another_training_is_compared() -> None:
    """Every training setting of every method, not a list of some."""
    for method in ("cyclegan", "ganomaly", "padim", "patchcore"):
        paper = paper_settings(method, "screw", 256)
        for name in paper.training().keys() - {"seed", "dataset.skip_unreadable"}:
            if name == "method.weights_sha256":  # reported as method.weights_path
                continue
            values = paper.training() | {name: "x\x1b" * 100}
            changed: Any = SimpleNamespace(
                dataset=paper.dataset,
                method=paper.method,
                resolution=256,
                training=lambda values=values: values,
            )
            (told,) = differences_from_paper(changed, split_of("screw"))
            assert told.startswith(f"{name}=x") and told.isprintable() and len(told) < 150


def test_images_that_are_not_the_papers() -> None:
    config = config_of("screw")
    assert differences_from_paper(config, split_of("screw", test=12)) == (
        "12 + 12 test images (paper: 59 + 59)",
    )
    assert differences_from_paper(config, split_of("screw")[1:]) == (
        "360 normal and 119 abnormal images (paper: 361 and 119)",
        "58 + 59 test images (paper: 59 + 59)",
    )
    assert differences_from_paper(config, split_of("screw", unreadable=1, mask=9)) == (
        "1 unreadable file left out",
    )
    assert differences_from_paper(config_of("screw"), split_of("tile"))[0].startswith(
        "263 normal and 84"
    )


def test_a_run_on_disk(tmp_path: Path) -> None:
    path = make_run(tmp_path, "cyclegan", 64, "screw", 0, "method.lambda_ide=0", examples=False)
    metrics = json.loads((path / "metrics.json").read_text())
    assert differences_of_run(path, metrics) == (
        "method.lambda_ide=0 (paper: 5)",
        "24 normal and 24 abnormal images (paper: 361 and 119)",
        "12 + 12 test images (paper: 59 + 59)",
    )
    alone = metrics | {"scores": {"sse_tta": {}}}
    assert (
        differences_of_run(tmp_path / "not there", alone) == ()
    )  # no figure of the paper beside it


@pytest.mark.parametrize("words", [["dataset.root=/x/screw"], ["dataset.category=screw"]])
def test_own_images_have_no_figures_in_the_paper(words: list[str]) -> None:
    option = "mvtec" if "category" in words[0] else "folder"
    config = config_of(option, *words)
    assert config.dataset.name == "own-screw"
    assert differences_from_paper(config, []) == ()
    for metric in PAPER_METRICS:
        assert paper_figure(config.dataset.name, "cyclegan-64", "sse", metric) is None
        assert paper_figure("screw", "cyclegan-64", "sse", metric) is not None


def test_settings_that_would_give_own_images_the_figures_of_the_paper_are_refused() -> None:
    job = config_of("folder", "dataset.root=/x/mine")
    for changes in (
        {"dataset.name": "screw"},
        {"dataset.name": "tile", "dataset.layout": "mvtec_like"},
    ):
        with refuses(setting="dataset.name", facts="paper"):
            job.replaced(changes)
