"""What of our runs was not as in the paper, and versions that differ within a cell."""

import json
from pathlib import Path

from reporting.fake_runs import change_metrics, make_run

from cyclegan_ad.reporting.compute.aggregate import Study, build_study
from cyclegan_ad.reporting.compute.provenance import mixed_versions
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.show.notes import UNLIKE, table2_notes
from cyclegan_ad.reporting.show.table2 import lay_out_table2


def study_of(runs: Path) -> Study:
    kept = choose_consistent(collect(runs)[0])[0]
    return build_study(kept, "paper", choose_comparable(kept))


def test_cells_are_marked_and_the_note_names_the_datasets(tmp_path: Path) -> None:
    narrow = "dataset.base_channels=16"
    usual = {"columns": ["sse"], "examples": False, "as_in_paper": True}
    make_run(tmp_path, "cyclegan", 64, "screw", 0, narrow, **usual)
    make_run(tmp_path, "cyclegan", 64, "tile", **usual)
    study = study_of(tmp_path)
    table = lay_out_table2(study)
    marked = [[cell.unlike for cell in row.blocks[0].cells] for row in table.rows if row.blocks[0]]
    assert marked == [[True] * 3, [False] * 3, [True] * 3]  # screw, tile, MEAN
    (told,) = [note for note in table2_notes(table, study) if note.startswith(UNLIKE)]
    assert told.endswith(
        "CycleGAN 64 px (Screw): method.discriminator.base_channels=16 (paper: 64), "
        "method.generator.base_channels=16 (paper: 64)."
    )


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
