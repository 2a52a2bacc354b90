"""Published figures, and the files of a run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from errors import refuses

from cyclegan_ad.runs.results import (
    METRICS_FORMAT,
    PaperFigure,
    paper_figure,
    paper_method_name,
    read_metrics,
    read_scores,
)


def test_paper_figures_are_those_of_table_2() -> None:
    assert paper_figure("hazelnut", "cyclegan-64", "fid", "zfn_accuracy") == PaperFigure(
        74.86, 12.89
    )
    assert paper_figure("retina_oct", "ganomaly", "sse", "auroc") == PaperFigure(86.86, 1.47)
    assert paper_figure("hazelnut", "patchcore", "sse", "auroc") is None
    assert paper_figure("demo", "cyclegan-64", "sse", "auroc") is None
    assert paper_figure("hazelnut", "cyclegan-64", "fid_efficientnet_lite0", "auroc") is None


def test_every_dataset_of_the_paper_has_its_cyclegan_figures() -> None:
    industrial = ("hazelnut", "screw", "tile", "wood")
    medical = ("brain_mri", "breast_ultrasound", "retina_oct")
    for dataset in industrial + medical:
        for resolution in (64, 256):
            name = paper_method_name("cyclegan", resolution)
            for score in ("sse", "fid"):
                for metric in ("zfn_accuracy", "max_accuracy", "auroc"):
                    assert paper_figure(dataset, name, score, metric) is not None


@pytest.mark.parametrize(
    ("method", "flagged"),
    [("patchcore", True), ("padim", True), ("ganomaly", False), ("cyclegan", False)],
)
def test_columns_that_say_nothing_are_flagged(method: str, flagged: bool) -> None:
    figure = paper_figure("screw", paper_method_name(method, 64), "sse", "zfn_accuracy")
    assert figure is not None
    assert figure.artefact is flagged


def test_the_embedding_of_padim_and_patchcore_stands_beside_the_papers_sse() -> None:
    artefact = PaperFigure(54.29, 0.0, artefact=True)
    assert paper_figure("hazelnut", "patchcore", "embedding", "zfn_accuracy") == artefact
    for method in ("padim", "patchcore"):
        for metric in ("zfn_accuracy", "max_accuracy"):
            figure = paper_figure("tile", method, "embedding", metric)
            assert figure is not None and figure.artefact
            assert figure == paper_figure("tile", method, "sse", metric)
        assert paper_figure("tile", method, "embedding_tta", "zfn_accuracy") is None
    # GANomaly's latent distance is not what the paper scored it by.
    assert paper_figure("tile", "ganomaly", "embedding", "zfn_accuracy") is None
    assert paper_figure("tile", "cyclegan-64", "embedding", "zfn_accuracy") is None


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(ValueError, match="zfn_accuracy"):
        paper_figure("screw", "padim", "sse", "accuracy")


def test_metrics_are_read_as_written(tmp_path: Path) -> None:
    assert METRICS_FORMAT == 3
    metrics: dict[str, Any] = {"format": 3, "scores": {"sse": {"auroc": 0.5}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert read_metrics(tmp_path) == metrics


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (None, ()),
        ('{"format": 3, "sco', ()),
        ("[]", "scores"),
        ('{"format": 3}', "scores"),
        ('{"format": 2, "scores": {}}', ("format 2", "3")),
        ('{"format": 4, "scores": {}}', ("format 4", "3")),
        ('{"scores": {}}', "format"),
    ],
)
def test_bad_metrics_name_the_file_and_the_remedy(
    tmp_path: Path, content: str | None, facts: str | tuple[str, ...]
) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    with refuses(file=tmp_path / "metrics.json", facts=facts, remedy="cyclegan_ad.evaluate"):
        read_metrics(tmp_path)


def test_scores_are_read_with_their_types(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text('path,label,sse,fid\n"no/1, a.png",0,1.5,2e-3\nb,1,7,8\n')
    assert read_scores(tmp_path) == [
        {"path": "no/1, a.png", "label": 0, "sse": 1.5, "fid": 0.002},
        {"path": "b", "label": 1, "sse": 7.0, "fid": 8.0},
    ]


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (None, ()),
        ("", ("path", "label")),
        ("path,label\n", ("path", "label")),
        ("path,label,sse\n", "rows"),
        ("path,label,sse\na,0,1.0\nb,1\n", "line 3"),
        ("path,label,sse\na,0,1.0,4\n", "line 2"),
        ("path,label,sse\na,2,1.0\n", ("line 2", "label 2")),
        ("path,label,sse\na,0,nan\n", ("line 2", "sse", "nan")),
        ("path,label,sse\na,0,\n", "line 2"),
    ],
)
def test_bad_scores_name_the_file_and_the_line(
    tmp_path: Path, content: str | None, facts: str | tuple[str, ...]
) -> None:
    if content is not None:
        (tmp_path / "scores.csv").write_text(content)
    with refuses(file=tmp_path / "scores.csv", facts=facts):
        read_scores(tmp_path)


def test_calibration_is_a_file_of_the_same_form(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("path,label,sse\na,0,1\n")
    (tmp_path / "calibration.csv").write_text("path,label,sse,fid\nb,1,2.5,3\n")
    rows = read_scores(tmp_path, "calibration.csv")
    assert rows == [{"path": "b", "label": 1, "sse": 2.5, "fid": 3.0}]
    (tmp_path / "calibration.csv").write_text("path,label\nb,1\n")
    with refuses(file=tmp_path / "calibration.csv", remedy="evaluate run="):
        read_scores(tmp_path, "calibration.csv")


def test_names_that_are_not_utf_8_are_read_as_the_system_gives_them(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes(b"path,label,sse\ngr\xf6\xdfe.png,0,1\n")
    assert read_scores(tmp_path)[0]["path"] == os.fsdecode(b"gr\xf6\xdfe.png")
