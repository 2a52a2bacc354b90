"""The files of a run are read as they were written, or refused by name."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from errors import refuses

from cyclegan_ad.runs.results import (
    METRICS_FORMAT,
    SplitRow,
    read_metrics,
    read_scores,
    read_split,
    write_split,
)


def test_metrics_are_read_as_written(tmp_path: Path) -> None:
    assert METRICS_FORMAT == 5
    metrics: dict[str, Any] = {"format": 5, "scores": {"sse": {"auroc": 0.5}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert read_metrics(tmp_path) == metrics


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (None, ()),
        ('{"format": 5, "sco', ()),
        ("[]", "scores"),
        ('{"format": 5}', "scores"),
        ('{"format": 2, "scores": {}}', ("format 2", "5")),
        ('{"format": 3, "scores": {}}', ("format 3", "5")),
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


def test_crossval_has_a_fold_for_each_image(tmp_path: Path) -> None:
    file = tmp_path / "crossval.csv"
    file.write_text("fold,path,label,sse\n0,a,1,2.5\n1,a,1,3\n")
    rows = read_scores(tmp_path, "crossval.csv")
    assert rows[1] == {"fold": 1, "path": "a", "label": 1, "sse": 3.0}
    for content, facts in (
        ("path,label,sse\na,1,2.5\n", "fold, path, label"),
        ("fold,path,label,sse\n-1,a,1,2.5\n", "line 2"),
        ("fold,path,label,sse\n1.0,a,1,2.5\n", "fold 1.0"),
        ("fold,path,label,sse\n0,a,1,2.5\n0,a,1,2.5\n", "twice"),
    ):
        file.write_text(content)
        with refuses(file=file, facts=facts):
            read_scores(tmp_path, "crossval.csv")


def test_names_that_are_not_utf_8_are_read_as_the_system_gives_them(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes(b"path,label,sse\ngr\xf6\xdfe.png,0,1\n")
    assert read_scores(tmp_path)[0]["path"] == os.fsdecode(b"gr\xf6\xdfe.png")


def test_the_split_has_a_column_of_groups_only_with_groups(tmp_path: Path) -> None:
    plain = [SplitRow("a", "1f", 0, "train"), SplitRow("b, c\r", "2f", 1, "test")]
    write_split(tmp_path, plain)
    assert (tmp_path / "split.csv").read_text().partition("\n")[0] == "path,sha256,label,subset"
    assert read_split(tmp_path) == plain
    grouped = [plain[0]._replace(group="P, 1"), plain[1]]
    write_split(tmp_path, grouped)
    assert (tmp_path / "split.csv").read_text().partition("\n")[0].endswith(",subset,group")
    assert read_split(tmp_path) == grouped
    (tmp_path / "split.csv").write_text("path,sha256,label,group\na,1f,0,x\n")
    with refuses(file=tmp_path / "split.csv", facts="header"):
        read_split(tmp_path)
