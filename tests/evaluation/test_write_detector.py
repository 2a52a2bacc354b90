"""The networks that a detector is saved with are those that its scores need."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tiny import draw_folder
from tiny import settings as tiny_settings

from cyclegan_ad.detector.load import load_detector
from cyclegan_ad.job import run_job
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_results

GENERATOR = {"channels", "base_channels", "residual_blocks"}


def test_a_reconstruction_needs_one_generator(
    finished: tuple[Path, RunDirectory, dict[str, Any]],
) -> None:
    run = finished[1]
    detector = load_detector(run.path, device="cpu")
    assert detector.description["network"].keys() == GENERATOR
    names = load_file(run.detector / "weights.safetensors")
    assert {name.partition(".")[0] for name in names} == {"layers"}


@pytest.mark.slow
def test_signals_need_four_networks_and_are_the_same_for_new_images(tmp_path: Path) -> None:
    """Also where averages infer, and the discriminators are not those that were trained last."""
    root = draw_folder(tmp_path / "images")
    words = ("method=cyclegan_plus", "trainer.max_epochs=1", "score=signals")
    settings = tiny_settings(root, tmp_path / "runs", *words)
    run_job(settings)
    run = RunDirectory.of(settings)
    rows = read_results(run.path).rows
    columns = rows[0].keys() - {"path", "label"}
    assert len(columns) == 12
    paths = [root / row["path"] for row in rows]
    for column in sorted(columns):
        detector = load_detector(run.path, score=column, device="cpu")
        assert detector.description["network"].keys() == GENERATOR | {"discriminator_base_channels"}
        found = [prediction.score for prediction in detector(list(paths))]
        assert found == [row[column] for row in rows]
    assert run.path.parts[-3] == "cyclegan_plus-32"
