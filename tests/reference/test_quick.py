"""The figures of the preset for a CPU are those of a record of its settings."""

import csv
import re
from pathlib import Path

from tiny import compose_settings, setting

from cyclegan_ad.reference.quick import preset_values

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "experiments" / "results" / "2026-11-23_methods_64px.md"
TITLES = {"brain_mri": "Brain MRI", "screw": "Screw"}
PLACES = {"zfn_accuracy": 0, "max_accuracy": 1, "auroc": 2}


def test_the_figures_are_those_of_the_record() -> None:
    with (ROOT / "cyclegan_ad" / "reference" / "cpu_quick.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["dataset"] for row in rows} == TITLES.keys()
    text = RECORD.read_text(encoding="utf-8")
    for row in rows:
        [line] = re.findall(rf"^\| {TITLES[row['dataset']]} \| SSE \| ours \|(.*)$", text, re.M)[:1]
        cells = [cell.strip(" *") for cell in line.split("|")]  # CycleGAN first
        found = f"{float(row['mean_percent']):.2f} ± {float(row['std_percent']):.2f}"
        assert cells[PLACES[row["metric"]]] == found
        assert cells[3] == f"{row['splits']} seeds"


def test_the_record_is_of_the_settings_of_the_preset() -> None:
    commands = RECORD.read_text(encoding="utf-8").partition("\nThe tables below")[0]
    quick = compose_settings("train", ["dataset=brain_mri", "+preset=cpu_quick"])
    for name in (
        "method.generator.base_channels",
        "trainer.max_epochs",
        "dataset.copies_per_epoch",
    ):
        assert f"{name}={setting(quick, name)}" in commands
    assert preset_values() == {"base_channels": 16, "copies_per_epoch": 1, "max_epochs": 100}
