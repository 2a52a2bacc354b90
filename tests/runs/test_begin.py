"""What a job writes at its start, and the check of its images."""

import csv
import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import refuses
from PIL import Image
from tiny import changed, changed_all, draw_folder, setting
from tiny import settings as tiny_settings

from cyclegan_ad import __version__
from cyclegan_ad.build import build_data
from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.runs import begin
from cyclegan_ad.runs.begin import check_images, check_split, describe_environment, write_start
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_split
from cyclegan_ad.settings.train import Settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images")


@pytest.fixture
def settings(root: Path, tmp_path: Path) -> Settings:
    return tiny_settings(root, tmp_path / "runs")


def read(settings: Settings) -> AnomalyDataModule:
    data = build_data(settings)
    data.setup()
    return data


@pytest.fixture
def data(settings: Settings) -> AnomalyDataModule:
    return read(settings)


@pytest.fixture
def run(settings: Settings, data: AnomalyDataModule) -> RunDirectory:
    """A run that was begun."""
    begun = RunDirectory.of(settings)
    write_start(begun, settings, data)
    return begun


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_start_of_a_run(run: RunDirectory, settings: Settings, data: AnomalyDataModule) -> None:
    assert files(run.path) == ["config.yaml", "environment.json", "split.csv"]
    with run.split.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "sha256", "label", "subset"]
    assert len(rows) == 15 + 3
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    test = {data.samples[i].path for i in data.split.test}
    for path, sha256, label, subset in rows:
        assert sha256 == hashlib.sha256((data.root / path).read_bytes()).hexdigest()
        if path.startswith("masks/"):
            assert (label, subset) == ("-1", "mask")
            assert path.replace("masks/", "abnormal/") in test
            continue
        assert label == str(int(path.startswith("abnormal/")))
        assert subset == ("test" if path in test else "train")
    assert sum(row[3] == "test" for row in rows) == 6
    data_dir = str(Path(setting(settings, "data_dir")).resolve())
    assert run.read_config() == changed(settings, "data_dir", data_dir)
    assert run.claim(settings) == "unfinished"


def test_a_new_start_deletes_what_was_there(
    run: RunDirectory, settings: Settings, data: AnomalyDataModule
) -> None:
    for old in (run.training, run.metrics, run.figures / "old.png"):
        old.parent.mkdir(exist_ok=True)
        old.write_text("{}")
    write_start(run, changed(settings, "overwrite", True), data)
    assert files(run.path) == ["config.yaml", "environment.json", "split.csv"]
    assert setting(run.read_config(), "overwrite") is False  # or evaluate would delete the run


def test_settings_are_written_last(
    settings: Settings, data: AnomalyDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory.of(settings)

    def killed() -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(begin, "describe_environment", killed)
    with pytest.raises(KeyboardInterrupt):
        write_start(run, settings, data)
    assert files(run.path) == ["split.csv"]
    assert run.claim(settings) == "new"


def test_folders_are_kept_so_that_they_are_found_from_anywhere(
    settings: Settings,
    data: AnomalyDataModule,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    run = RunDirectory.of(settings)
    relative = changed_all(settings, {"data_dir": "~/sets", "dataset.root": "images"})
    write_start(run, relative, data)
    kept = run.read_config()
    assert setting(kept, "data_dir") == str(tmp_path / "home" / "sets")
    assert setting(kept, "dataset.root") == str(tmp_path / "images")
    nowhere = changed_all(settings, {"data_dir": "sets", "dataset.root": None})
    write_start(run, nowhere, data)
    kept = run.read_config()
    assert (setting(kept, "data_dir"), setting(kept, "dataset.root")) == (
        str(tmp_path / "sets"),
        None,
    )


def test_environment_says_where_a_number_comes_from(run: RunDirectory) -> None:
    found = json.loads(run.environment.read_text())
    assert found["cyclegan_ad"] == __version__
    assert set(found["packages"]) >= {"torch", "pytorch-lightning", "hydra-core", "numpy"}
    assert found["packages"]["numpy"] == np.__version__
    assert found["started"].endswith("+00:00")
    commit = subprocess.run(
        ["git", "-C", str(Path(begin.__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
    )
    if commit.returncode == 0:
        assert found["commit"].removesuffix("+changes") == commit.stdout.strip()
    else:
        assert found["commit"] is None


def test_environment_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert describe_environment()["commit"] is None


def test_the_same_images_pass(run: RunDirectory, settings: Settings) -> None:
    check_split(run, read(settings))
    check_split(run, read(changed(settings, "resolution", 64)))


def repaint(root: Path) -> None:
    Image.new("L", (32, 32), 9).save(root / "normal" / "03.png")


def add(root: Path) -> None:
    Image.new("L", (32, 32), 9).save(root / "normal" / "99.png")


def remove(root: Path) -> None:
    (root / "abnormal" / "02.png").unlink()
    (root / "masks" / "02.png").unlink()


def move(root: Path) -> None:
    (root / "normal" / "04.png").rename(root / "abnormal" / "77.png")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (repaint, "normal/03.png"),
        (add, "normal/99.png"),
        (remove, "abnormal/02.png"),
        (move, "normal/04.png"),
    ],
)
def test_an_image_that_differs_is_named(
    run: RunDirectory,
    settings: Settings,
    root: Path,
    change: Callable[[Path], None],
    named: str,
) -> None:
    before = set(read(settings).split_rows())
    change(root)
    now = set(read(settings).split_rows())
    differ = sorted({row[0] for row in before ^ now})  # a new image may move others as well
    assert named in differ
    shown = f"({', '.join(differ[:3])}{', ...' if len(differ) > 3 else ''})"
    facts = (str(root), f"{len(differ)} file", shown)
    with refuses(file=run.split, facts=facts, remedy=("restore", "overwrite=true")):
        check_split(run, read(settings))
    if change is repaint:
        assert differ == [named]


def test_another_split_of_the_same_images_is_refused(
    run: RunDirectory, settings: dict[str, Any]
) -> None:
    with refuses(file=run.split, facts=", ...)"):
        check_split(run, read(changed(settings, "seed", 1)))


def test_a_file_that_became_unreadable_is_named(
    run: RunDirectory, settings: Settings, root: Path
) -> None:
    (root / "normal" / "00.png").write_bytes(b"")
    going_on = changed(settings, "dataset.skip_unreadable", True)
    with refuses(file="normal/00.png"):
        check_split(run, read(going_on))


def test_a_run_without_unreadable_files_goes_on_without_them(
    settings: Settings, root: Path
) -> None:
    (root / "normal" / "00.png").write_bytes(b"")
    going_on = changed(settings, "dataset.skip_unreadable", True)
    run = RunDirectory.of(going_on)
    write_start(run, going_on, read(going_on))
    check_split(run, read(going_on))
    with run.split.open(newline="") as file:
        rows = {row[0]: row[1:] for row in csv.reader(file)}
    assert rows["normal/00.png"] == [hashlib.sha256(b"").hexdigest(), "-1", "unreadable"]
    assert len(rows) == 1 + 15 + 3


def test_a_run_with_unreadable_masks_answers_for_its_images(
    data: AnomalyDataModule, settings: Settings, root: Path
) -> None:
    abnormal = [i for i, sample in enumerate(data.samples) if sample.label == 1]
    masks = [data.samples[i].mask[0] for i in abnormal]
    trained = [data.samples[i].mask[0] for i in abnormal if i in data.split.train]
    for mask in masks:
        (root / mask).write_bytes(b"")
    going_on = changed(settings, "dataset.skip_unreadable", True)
    run = RunDirectory.of(going_on)
    write_start(run, going_on, read(going_on))
    check_split(run, read(going_on))
    check_images(run, going_on)
    Image.new("L", (32, 32), 255).save(root / trained[0])
    for check in (lambda: check_images(run, going_on), lambda: check_split(run, read(going_on))):
        with refuses(facts=("1 file", f"({trained[0]})")):
            check()


def test_images_kept_for_calibration_are_named_in_the_split(
    settings: dict[str, Any], root: Path
) -> None:
    calibrated = changed(settings, "protocol.calibration_fraction", 0.4)
    run = RunDirectory.of(calibrated)
    assert run.path.parts[-3] == "cyclegan-32-calibrated"
    write_start(run, calibrated, read(calibrated))
    with run.split.open(newline="") as file:
        subsets = [row["subset"] for row in csv.DictReader(file)]
    assert {name: subsets.count(name) for name in set(subsets)} == {
        "train": 8,
        "test": 6,
        "calibration": 1,
        "mask": 3,
    }
    check_split(run, read(calibrated))
    more = changed(settings, "protocol.calibration_fraction", 0.7)
    with refuses(file=run.split, facts="1 file"):
        check_split(run, read(more))


def test_a_finished_run_with_an_unreadable_mask_of_a_training_image_is_still_its_own(
    settings: Settings, root: Path
) -> None:
    going_on = changed(settings, "dataset.skip_unreadable", True)
    for path in (root / "masks").iterdir():
        path.write_bytes(b"")
    run = RunDirectory.of(going_on)
    write_start(run, going_on, read(going_on))
    check_images(run, going_on)
    (root / "masks" / "00.png").write_bytes(b"mended")
    with refuses(file="masks/00.png", facts="1 file"):
        check_images(run, going_on)


def test_the_run_of_another_folder_of_this_name_is_refused_by_its_name(
    run: RunDirectory, settings: Settings, root: Path, tmp_path: Path
) -> None:
    other = draw_folder(tmp_path / "elsewhere" / "images", 7, 6, size_px=40)
    now = changed(settings, "dataset.root", str(other))
    assert RunDirectory.of(now).path == run.path
    for check in (lambda: check_images(run, now), lambda: check_split(run, read(now))):
        with refuses(
            file=run.split, facts=(str(other), str(root)), remedy=("dataset.name", "run_name")
        ):
            check()


def test_a_folder_may_be_moved(
    run: RunDirectory, settings: Settings, root: Path, tmp_path: Path
) -> None:
    moved = root.rename(tmp_path / "moved")
    now = changed(settings, "dataset.root", str(moved))
    check_images(run, now)
    check_split(run, read(now))
    # Other names for the same classes are the same training.
    named = changed_all(now, {"dataset.normal": ["normal"], "dataset.abnormal": ["abnormal"]})
    assert run.claim(named) == "unfinished"
    check_images(run, named)


def write_table(path: Path, root: Path, **groups: str) -> None:
    lines = ["path,label,group"]
    for image in sorted(root.rglob("*ormal/*.png")):
        label = int(image.parent.name == "abnormal")
        group = groups.get(f"g{image.stem}", f"{label}{int(image.stem) // 2}")
        lines.append(f"{image.relative_to(root).as_posix()},{label},{group}")
    path.write_text("\n".join(lines))


def test_groups_are_part_of_a_run(root: Path, tmp_path: Path, settings: Settings) -> None:
    table = tmp_path / "images.csv"
    write_table(table, root)
    grouped = changed(settings, "dataset.table", str(table))
    run = RunDirectory.of(grouped)
    write_start(run, grouped, read(grouped))
    rows = read_split(run.path)
    assert run.split.read_text().startswith("path,sha256,label,subset,group\n")
    subsets: dict[str, set[str]] = {}
    for row in rows:
        subsets.setdefault(row.group, set()).add(row.subset)
    assert len(subsets) == 8 and all(len(found) == 1 for found in subsets.values())
    check_images(run, grouped)
    check_split(run, read(grouped))
    write_table(table, root, g00="00", g01="04")
    with refuses(file=run.split):
        check_images(run, grouped)
    assert run.read_config().dataset.table == table


def test_other_groups_are_another_training(run: RunDirectory, settings: Settings) -> None:
    run.checkpoint.parent.mkdir()
    run.checkpoint.touch()
    for name, value in (("group", r"/(\d)"), ("keep_copies_together", False)):
        with refuses(setting=f"dataset.{name}", facts=str(run.path), remedy="run_name=NAME"):
            run.claim(changed(settings, f"dataset.{name}", value))
