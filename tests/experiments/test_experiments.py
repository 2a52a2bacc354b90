"""The experiments under ``conf``: the jobs each expands to, and what the command line changes."""

import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import yaml
from errors import assert_error
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from states import COMPLETE
from tiny import OVERRIDES, check_settings, compose_settings, draw_folder, setting

from cyclegan_ad.methods.names import FUSED, SIGNALS
from cyclegan_ad.runs.directory import run_name
from cyclegan_ad.settings.composing import conf_dir, register_resolvers
from cyclegan_ad.train import run_training as train

SEVEN = ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound", "retina_oct")
SEEDS = (0, 1, 2, 3, 4)
COLUMNS = {
    "cyclegan-256": ("cyclegan", 256, ["sse", "fid"]),
    "cyclegan-64": ("cyclegan", 64, ["sse", "fid"]),
    "ganomaly-256": ("ganomaly", 256, ["sse", "fid"]),
    "padim-256": ("padim", 256, ["embedding"]),
    "patchcore-256": ("patchcore", 256, ["embedding"]),
}
# Row of the final table -> its runs, and the protocol that they are scored for.
ROWS = {
    "linear_probe": ("linear_probe-256", "crossval"),
    "padim": ("padim-256", "crossval"),
    "patchcore": ("patchcore-256", "crossval"),
    "ganomaly": ("ganomaly-64", "crossval"),
    "cyclegan": ("cyclegan-64", "paper"),
    "cyclegan_plus": ("cyclegan_plus-256", "paper"),
}
FINAL_DATASETS = ("brain_mri", "screw", "elpv")
# Choice of the ablation -> what it changes of cyclegan_plus.
CHOICES = {
    "full": {},
    "no_ema": {"method.ema_decay": 0.0},
    "no_discriminator_augmentation": {"method.discriminator_augmentation": "none"},
    "no_opposite_real": {"method.opposite_real_weight": 0.0},
    "affine": {"dataset.augmentation": "affine"},
    "paper": {
        "method.name": "cyclegan",
        "method.ema_decay": 0.0,
        "method.ema_discriminators": False,
        "method.discriminator_augmentation": "none",
        "method.opposite_real_weight": 0.0,
    },
}
FIRST_ABLATION = ("+experiment=ablation", "dataset=screw", "seed=0")
FEW_COLUMNS = ("linear_probe-256", "cyclegan-64")
BASELINES = ("patchcore-256", "padim-256", "ganomaly-256")
ALL_COLUMNS = (*BASELINES, "cyclegan-64", "cyclegan-256")
CYCLEGANS = ("cyclegan-64", "cyclegan-256")


def jobs(experiment: str, *words: str) -> list[list[str]]:
    """Words of each job that a command expands to, in its order, as Hydra's sweeper makes them."""
    register_resolvers()
    given = [f"+experiment={experiment}", *words]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", given[:1], return_hydra_config=True)
        sweep = OmegaConf.to_container(cfg.hydra.sweeper, resolve=True)
        assert OmegaConf.select(cfg, "hydra.mode").name == "MULTIRUN"
    assert isinstance(sweep, dict)
    parser = OverridesParser.create()
    swept = [f"{name}={values}" for name, values in sweep["params"].items()]
    [batch] = BasicSweeper.split_arguments(parser.parse_overrides([*swept, *given]), None)
    return [list(words) for words in batch]


def place(words: list[str]) -> tuple[int, str, str]:
    """Seed, column and dataset of a job."""
    given = dict(word.split("=", 1) for word in words)
    return int(given["seed"]), given["+column"], given["dataset"]


def names(experiment: str) -> set[str]:
    return {path.stem for path in (conf_dir() / experiment).glob("*.yaml")}


def test_there_is_a_test_for_each_file() -> None:
    assert names("column") == COLUMNS.keys() | set(FEW_COLUMNS)
    assert names("experiment") == {
        "table2", "table2_cyclegan64", "table2_cyclegan256", "table2_baselines",
        "figure3", "figure4", "extensions", "protocols", "few_abnormal", "ablation", "final",
    }  # fmt: skip
    assert names("row") == ROWS.keys()
    assert names("ablation") == set(CHOICES)


def test_table2_is_every_column_dataset_and_seed_once_and_a_whole_table_comes_early() -> None:
    places = [place(words) for words in jobs("table2")]
    assert places == list(product(SEEDS, ALL_COLUMNS, SEVEN))
    assert len(places) == 175
    # Each seed is a whole table; in it what is quick comes first.
    assert [seed for seed, _, _ in places[:35]] == [0] * 35


@pytest.mark.parametrize(
    ("experiment", "seeds", "columns"),
    [
        ("table2_cyclegan64", SEEDS, ("cyclegan-64",)),
        ("table2_cyclegan256", SEEDS, ("cyclegan-256",)),
        ("table2_baselines", SEEDS, BASELINES),
        ("figure3", (0,), ("cyclegan-256",)),
        ("figure4", (0,), ("cyclegan-256",)),
    ],
)
def test_slices_are_parts_of_table2(
    experiment: str, seeds: tuple[int, ...], columns: tuple[str, ...]
) -> None:
    words = jobs(experiment)
    assert [place(job) for job in words] == list(product(seeds, columns, SEVEN))
    # The very settings of table2, or the runs would not be shared.
    seed, column, dataset = place(words[-1])
    whole = ["+experiment=table2", f"seed={seed}", f"+column={column}", f"dataset={dataset}"]
    assert compose_settings("train", words[-1]) == compose_settings("train", whole)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("dataset", SEVEN)
def test_settings_of_the_jobs_of_table2(column: str, dataset: str) -> None:
    words = [f"+column={column}", f"dataset={dataset}", "+experiment=table2", "seed=3"]
    settings = compose_settings("train", words)
    check_settings(settings)
    method, resolution, scores = COLUMNS[column]
    assert (setting(settings, "method.name"), setting(settings, "resolution")) == (
        method,
        resolution,
    )
    assert (setting(settings, "dataset.name"), setting(settings, "seed")) == (dataset, 3)
    # The paper's scores; those that it does not have stay off.
    assert setting(settings, "score.names") == scores
    assert (setting(settings, "score.tta"), setting(settings, "score.extractor")) == (
        "none",
        "inception",
    )
    assert setting(settings, "protocol.name") == "paper"
    assert setting(settings, "run_name") is None  # so the run is called as the column is
    trained = method in ("cyclegan", "ganomaly")
    is_oct = dataset == "retina_oct"
    assert setting(settings, "trainer.max_epochs") == ((50 if is_oct else 200) if trained else 1)
    assert setting(settings, "dataset.copies_per_epoch") == (9 if trained and not is_oct else 1)
    if method == "cyclegan":
        assert setting(settings, "method.generator.residual_blocks") == (
            9 if resolution == 256 else 6
        )


def test_the_command_line_goes_before_the_experiment() -> None:
    words = jobs(
        "table2", "seed=0,1", "dataset=screw,brain_mri", "score.extractor=efficientnet_lite0"
    )
    assert [place(job) for job in words] == list(
        product((0, 1), ALL_COLUMNS, ("screw", "brain_mri"))
    )
    for job in words:
        assert setting(compose_settings("train", job), "score.extractor") == "efficientnet_lite0"

    [job] = jobs(
        "table2", "seed=7", "dataset=demo", "+column=cyclegan-64", "resolution=32", "score=sse"
    )
    settings = compose_settings("train", job)
    assert (setting(settings, "seed"), setting(settings, "resolution")) == (7, 32)
    assert setting(settings, "dataset.name") == "demo"
    assert setting(settings, "score.names") == ["sse"]
    [job] = jobs("extensions", "seed=0", "dataset=screw", "+column=cyclegan-64", "score.tta=none")
    assert setting(compose_settings("train", job), "score.names") != ["sse", "fid"]
    assert setting(compose_settings("train", [*job, "score=fid"]), "score.names") == ["fid"]


def test_extensions_score_the_runs_of_table2_with_and_without_symmetries() -> None:
    words = jobs("extensions")
    assert [(*place(job), job[3]) for job in words] == [
        (*where, f"score.tta={tta}")
        for where in product(SEEDS, CYCLEGANS, SEVEN)
        for tta in ("none", "dihedral")
    ]
    first, second = (compose_settings("train", job) for job in words[:2])
    check_settings(first)
    check_settings(second)
    assert {"sse", "peak", "standardised"} <= set(setting(first, "score.names"))
    table2 = compose_settings("train", [*words[0][:3], "+experiment=table2"])
    for other in (second, table2):
        assert {key: other[key] for key in other if key != "score"} == {
            key: first[key] for key in first if key != "score"
        }


def test_protocols_cross_fit_before_they_train_anew() -> None:
    words = jobs("protocols")
    assert [(*place(job), job[3]) for job in words] == [
        (*where, f"protocol={name}")
        for where in product(SEEDS, CYCLEGANS, SEVEN)
        for name in ("crossfit", "calibrated")
    ]
    for job, name in zip(words[:2], ("crossfit", "calibrated"), strict=True):
        settings = compose_settings("train", job)
        check_settings(settings)
        assert setting(settings, "protocol.name") == name
        assert setting(settings, "score.names") == ["sse", "fid"]


def test_few_abnormal_is_a_curve_after_each_split() -> None:
    words = jobs("few_abnormal")
    most = ("1", "5", "10", "30", "null")
    assert [(*place(job), job[3]) for job in words] == [
        (*where, f"dataset.max_abnormal={n}")
        for where in product(SEEDS, FEW_COLUMNS, ("brain_mri", "screw"))
        for n in most
    ]
    cyclegan = [compose_settings("train", job) for job in words if "cyclegan-64" in job[1]][:5]
    found = [run_name(check_settings(settings)) for settings in cyclegan]
    # All images: the very runs of Table 2.
    assert found == [*(f"few-{n}-cyclegan-64" for n in most[:4]), "cyclegan-64"]
    where = ["+experiment=table2", "seed=0", "+column=cyclegan-64", "dataset=brain_mri"]
    assert cyclegan[-1] == compose_settings("train", where)


def test_the_final_table_is_every_row_dataset_and_seed_once_and_whole_after_each_split() -> None:
    words = jobs("final")
    places = [tuple(dict(word.split("=", 1) for word in job).values())[:3] for job in words]
    assert places == [(str(s), r, d) for s, r, d in product(SEEDS, ROWS, FINAL_DATASETS)]
    for job in words[: len(ROWS) * len(FINAL_DATASETS)]:
        settings = compose_settings("train", job)
        found = check_settings(settings)
        given = dict(word.split("=", 1) for word in job)
        assert (run_name(found), found.protocol.name) == ROWS[given["+row"]]
        assert found.dataset.name == given["dataset"]
        assert found.score.extractor == "efficientnet_lite0"
        if given["+row"] in ("padim", "patchcore", "linear_probe"):
            assert setting(settings, "method.backbone") == "efficientnet_lite0"
            assert found.trainer.max_epochs == 1
        if given["+row"] == "cyclegan_plus":
            assert setting(settings, "score.names") == ["fused", "fused_signals", "sse"]
        if given["+row"] in ("cyclegan", "ganomaly"):
            assert setting(settings, "score.names") == ["sse", "fid"]


def test_the_final_table_has_one_configuration_but_for_the_epochs() -> None:
    for row in ROWS:
        one, *others = (
            check_settings(compose_settings("train", ["+experiment=final", f"+row={row}", word]))
            for word in ("dataset=brain_mri", "dataset=screw", "dataset=elpv")
        )
        for other in others:
            mine, theirs = one.training(), other.training()
            different = {name for name in mine if mine[name] != theirs.get(name)}
            epochs = {"trainer.max_epochs", "method.decay_start_epoch"}  # the middle of them
            assert different - epochs <= {
                "dataset.name", "dataset.layout", "dataset.defect_probability",
            }, row  # fmt: skip
            assert one.score == other.score
    # A dataset that the preset does not name.
    words = ["+experiment=final", "+row=cyclegan", "dataset=tile"]
    assert setting(compose_settings("train", words), "trainer.max_epochs") == 100


def test_the_ablation_changes_one_choice_at_a_time() -> None:
    words = jobs("ablation")
    places = [tuple(dict(word.split("=", 1) for word in job).values())[:3] for job in words]
    assert sorted(places) == sorted(
        (str(s), d, c) for s, d, c in product((0, 1, 2), ("brain_mri", "screw"), CHOICES)
    )
    found = {
        choice: check_settings(compose_settings("train", [*FIRST_ABLATION, f"+ablation={choice}"]))
        for choice in CHOICES
    }
    whole = found["full"].training()
    for choice, changes in CHOICES.items():
        mine = found[choice].training()
        assert {name: mine[name] for name in mine if mine[name] != whole[name]} == changes
        assert run_name(found[choice]) == f"ablation-{choice}"
        assert found[choice].score == found["full"].score
    assert {*SIGNALS, *FUSED} <= set(found["full"].score.names)
    # The very training of the final table.
    final = ["+experiment=final", "+row=cyclegan_plus", "dataset=screw", "seed=0"]
    assert whole == check_settings(compose_settings("train", final)).training()


@pytest.mark.parametrize("path", sorted((conf_dir() / "experiment").glob("*.yaml")), ids=str)
def test_files_say_what_they_are_and_hold_nothing_but_overrides(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert re.match(r"# (Table 2|The runs that Figure \d|Beyond the paper)", lines[1])
    content = yaml.safe_load(path.read_text())
    assert content.keys() <= {"defaults", "hydra"}


@pytest.mark.slow
def test_a_missing_dataset_is_reported_and_what_is_there_is_not_done_again(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data" / "brain_mri")
    (root / "normal").rename(root / "no")
    (root / "abnormal").rename(root / "yes")
    words = [
        *(word for word in OVERRIDES if not word.startswith(("dataset=", "dataset.name="))),
        "score=sse",
        "trainer.max_epochs=1",
        f"data_dir={tmp_path / 'data'}",
        f"cache_dir={tmp_path / 'cache'}",
        f"runs={tmp_path / 'runs'}",
    ]
    train(check_settings(compose_settings("train", ["dataset=brain_mri", *words])))
    runs = tmp_path / "runs" / "cyclegan-32" / "brain_mri"
    written = (runs / "seed0" / "metrics.json").stat().st_mtime_ns
    sweep = ["+experiment=table2_cyclegan64", "dataset=screw,brain_mri", "seed=0,1"]

    done = subprocess.run(
        [sys.executable, "-m", "cyclegan_ad.train", *sweep, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )

    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 2
    first, second = errors
    assert_error(first, facts=("screw", "train/good/", "test/"))
    assert_error(second, setting="seed=1 dataset=screw")
    assert f"seed0 {COMPLETE}" in done.stdout
    assert (runs / "seed0" / "metrics.json").stat().st_mtime_ns == written
    assert (runs / "seed1" / "metrics.json").is_file()
