"""What of our runs was not as in the paper, and versions that differ within a cell."""

import json
from pathlib import Path

import pytest
from reporting.fake_runs import change_metrics, make_run

from cyclegan_ad.reporting.aggregate import Study, build_study
from cyclegan_ad.reporting.alike import choose_alike
from cyclegan_ad.reporting.cells import choose_consistent
from cyclegan_ad.reporting.collect import collect
from cyclegan_ad.reporting.departures import departures
from cyclegan_ad.reporting.notes import UNLIKE, table2_notes
from cyclegan_ad.reporting.versions import mixed_versions
from cyclegan_ad.reporting.wide import lay_out_table2


def study_of(runs: Path) -> Study:
    kept = choose_consistent(collect(runs)[0])[0]
    return build_study(kept, "paper", choose_alike(kept))


@pytest.mark.parametrize(
    ("method", "resolution", "words", "title", "found"),
    [
        ("padim", 256, [], "PaDiM 256 px", ()),
        ("ganomaly", 64, [], "GANomaly 64 px", ("64 px instead of 256 px",)),
        (
            "patchcore",
            64,
            ["backbone=efficientnet_lite0"],
            "PatchCore 64 px, EfficientNet-Lite0",
            ("64 px instead of 256 px", "EfficientNet-Lite0 instead of Wide ResNet-50-2"),
        ),
        (
            "padim",
            256,
            ["method.pretrained=false"],
            "PaDiM 256 px, ResNet-18 with random weights",
            ("ResNet-18 with random weights instead of ResNet-18",),
        ),
        ("cyclegan", 64, [], "CycleGAN 64 px", ()),
        ("cyclegan", 64, ["dataset=retina_oct"], "CycleGAN 64 px", ()),
        (
            "cyclegan",
            256,
            ["dataset.base_channels=16", "dataset.max_epochs=100", "dataset.copies_per_epoch=1"],
            "CycleGAN 256 px",
            (
                "16 channels instead of 64",
                "100 epochs of 1 copy of each image instead of 200 of 9",
            ),
        ),
    ],
)
def test_what_was_not_as_in_the_paper(
    tmp_path: Path,
    method: str,
    resolution: int,
    words: list[str],
    title: str,
    found: tuple[str, ...],
) -> None:
    columns = ["embedding"] if method in ("padim", "patchcore") else ["sse"]
    make_run(tmp_path, method, resolution, "screw", 0, *words, columns=columns, examples=False)
    (run,), _ = collect(tmp_path)
    assert run.method.title == title
    assert departures(run) == found


def test_cells_are_marked_and_the_note_names_the_datasets(tmp_path: Path) -> None:
    narrow = "dataset.base_channels=16"
    make_run(tmp_path, "cyclegan", 64, "screw", 0, narrow, columns=["sse"], examples=False)
    make_run(tmp_path, "cyclegan", 64, "tile", columns=["sse"], examples=False)
    study = study_of(tmp_path)
    table = lay_out_table2(study)
    marked = [[cell.unlike for cell in row.blocks[0].cells] for row in table.rows if row.blocks[0]]
    assert marked == [[True] * 3, [False] * 3, [True] * 3]  # screw, tile, MEAN
    (told,) = [note for note in table2_notes(table, study) if note.startswith(UNLIKE)]
    assert told.endswith("CycleGAN 64 px (Screw): 16 channels instead of 64.")


def test_a_dataset_that_the_paper_has_not_is_not_marked(tmp_path: Path) -> None:
    words = ("dataset=folder", "dataset.name=own")
    make_run(tmp_path, "ganomaly", 64, "own", 0, *words, columns=["sse"], examples=False)
    study = study_of(tmp_path)
    table = lay_out_table2(study)
    assert not any(UNLIKE in note for note in table2_notes(table, study))


def test_versions_that_differ_within_a_cell_are_told(tmp_path: Path) -> None:
    for dataset in ("tile", "screw"):
        for seed in range(3):
            path = make_run(tmp_path, "cyclegan", 64, dataset, seed, columns=["sse"])
    assert mixed_versions(collect(tmp_path)[0]) == []
    made = json.loads((path / "environment.json").read_text())
    (path / "environment.json").write_text(json.dumps(made | {"commit": "ab" * 20}))
    first = path.with_name("seed0")
    change_metrics(first, evaluated_with={"cyclegan_ad": "0.2.0"})
    (told,) = mixed_versions(collect(tmp_path)[0])
    assert told == (
        "Screw, CycleGAN 64 px: "
        "trained at commit 459115cd2c6b (seeds 0, 1), abababababab (seed 2); "
        "evaluated at commit not recorded (seed 0), 5743e32edb09 (seeds 1, 2); "
        "evaluated by cyclegan_ad 0.2.0 (seed 0), 0.1.0 (seeds 1, 2)"
    )
    study = study_of(tmp_path)
    assert any(told in note for note in table2_notes(lay_out_table2(study), study))
