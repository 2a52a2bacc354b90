"""The table over the number of abnormal images."""

from cyclegan_ad.reporting.compute.aggregate import Statistic
from cyclegan_ad.reporting.compute.few_abnormal import METRICS, Curve, Point
from cyclegan_ad.reporting.labels import Method
from cyclegan_ad.reporting.show.few_abnormal_table import (
    HEADER,
    few_abnormal_rows,
    few_abnormal_text,
)
from cyclegan_ad.scoring.names import ScoreColumn


def point(limit: int | None, abnormal: int, *values: float) -> Point:
    found = {metric: Statistic(values) for metric in METRICS}
    return Point(limit, abnormal, tuple(range(len(values))), found)


def curve(method: str, *points: Point, few: str | None = None) -> Curve:
    of = Method(f"{method}-64", method, 64)
    return Curve("screw", of, ScoreColumn("sse"), points, method == "cyclegan", True, few)


CURVES = [
    curve("cyclegan", point(5, 5, 0.5, 0.7), point(None, 60, 0.9), few="one of 12"),
    curve("padim", point(None, 60, 0.8, 0.8)),
]


def test_a_column_for_each_number() -> None:
    table = few_abnormal_text(CURVES)
    assert table.header[4:] == ("5", "all", "All are", "Seeds")
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows[0] == [
        *("Screw", "CycleGAN 64 px", "SSE", "AUROC"),
        *("60.00 ± 14.14 (f)", "90.00 (f)", "60", "2"),
    ]
    assert [row[3] for row in rows[:3]] == ["AUROC", "ZFN accuracy", "PG0"]
    assert rows[3][4:] == ["-", "80.00 ± 0.00", "none used", "2"]
    assert any("5 with seed 0 1, all with seed 0." in note for note in table.notes)
    assert "one of 12" in table.notes[-1]


def test_a_number_that_the_dataset_does_not_have_is_a_dash() -> None:
    points = (point(5, 5, 0.5), point(30, 6, 0.9), point(None, 6, 0.9))
    [first, *_] = few_abnormal_text([curve("cyclegan", *points)]).rows
    assert [cell.text for cell in first][4:7] == ["50.00", "-", "90.00"]
    # Groups that are kept whole may give fewer images than were asked for.
    points = (point(5, 4, 0.5), point(None, 6, 0.9))
    [first, *_] = few_abnormal_text([curve("cyclegan", *points)]).rows
    assert [cell.text for cell in first][4:6] == ["50.00", "90.00"]


def test_numbers_have_every_digit() -> None:
    rows = [dict(zip(HEADER, row, strict=True)) for row in few_abnormal_rows(CURVES)]
    assert len(rows) == 3 * 3
    first = rows[0]
    assert (first["run"], first["max_abnormal"], first["abnormal"]) == ("cyclegan-64", 5, 5)
    assert (first["metric"], first["seeds"]) == ("auroc", "0 1")
    assert first["std_percent"] == 100 * Statistic((0.5, 0.7)).std
    assert rows[3]["max_abnormal"] is None and rows[3]["std_percent"] is None
