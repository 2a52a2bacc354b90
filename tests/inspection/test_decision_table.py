"""The table of decisions about uploads."""

import csv
import io
import math
from pathlib import Path

import pytest

from cyclegan_ad.detector.decision import Decision
from cyclegan_ad.inspection.decision_table import COLUMNS, TABLE, append, as_text, row_of
from cyclegan_ad.inspection.images import InspectedImage

TIME = "2026-11-26T08:00:00+00:00"
DECISION = Decision("sse", 2.0, "paper", {})


def image(name: str, score: float | None, reason: str = "") -> InspectedImage:
    return InspectedImage(
        "u0", name, Path(), "upload", "ab", judged=True, score=score, reason=reason, time=TIME
    )


def test_a_row_is_read_back_exactly() -> None:
    score = math.pi
    row = row_of(image('a, "b".png', score), "reject", DECISION)
    [read] = csv.DictReader(io.StringIO(as_text([row])))
    assert (read["name"], read["decision"], read["zone"]) == ('a, "b".png', "abnormal", "reject")
    assert read["time"] == TIME  # when it was judged, not when the row is made
    assert float(read["score"]) == score and float(read["margin"]) == score - 2.0
    nothing = row_of(image("c.png", None, "damaged PNG"), "review", DECISION)
    [read] = csv.DictReader(io.StringIO(as_text([nothing])))
    assert (read["score"], read["margin"], read["reason"]) == ("", "", "damaged PNG")
    assert read["decision"] == "abnormal"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\tb"])
def test_no_name_is_a_formula(name: str) -> None:
    assert row_of(image(name, 1.0), "pass", DECISION)[1] == f"'{name}"
    assert row_of(image("a", None, name), "review", DECISION)[-1] == f"'{name}"


def test_rows_are_appended_below_one_header(tmp_path: Path) -> None:
    for _ in range(2):
        append(tmp_path / "out", row_of(image("a.png", 1.0), "pass", DECISION))
    lines = (tmp_path / "out" / TABLE).read_text(encoding="utf-8").splitlines()
    assert lines[0] == ",".join(COLUMNS) and len(lines) == 3
