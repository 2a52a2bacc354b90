import json
import subprocess
import sys

import pytest
from scored import make_columns

from cyclegan_ad.errors import UserError
from cyclegan_ad.methods.names import FUSED, SIGNALS
from cyclegan_ad.pretrained.names import EXTRACTOR_NAMES
from cyclegan_ad.scoring.names import (
    SCORE_NAMES,
    TERM_TITLES,
    ScoreColumn,
    check_method_scores,
    check_score_names,
)


def test_unknown_names_list_the_choices() -> None:
    for names in (["sse", "mse"], []):
        with pytest.raises(UserError, match=r"score\.names=\[.*sse, fid, fid_spatial, peak"):
            check_score_names(names)


def test_columns_are_distinct() -> None:
    columns = {
        column.column
        for extractor in EXTRACTOR_NAMES
        for column in make_columns(SCORE_NAMES, extractor)
    }
    assert columns == {
        "sse",
        "fid",
        "fid_spatial",
        "fid_efficientnet_lite0",
        "fid_spatial_efficientnet_lite0",
        "peak_2px",
        "standardised",
        "embedding",
        "peak_abnormal_2px",
        *(name for name in SIGNALS if name != "peak_abnormal"),
        "fused",
        "fused_signals",
        "probe",
        "probe_peak",
    }


@pytest.mark.parametrize(
    ("sigma_px", "column"), [(2, "peak_2px"), (2.0, "peak_2px"), (0.5, "peak_0.5px")]
)
def test_the_width_of_the_smoothing_names_the_peak_alone(sigma_px: float, column: str) -> None:
    found = make_columns(["peak", "sse"], peak_sigma_px=sigma_px)
    assert [one.column for one in found] == [column, "sse"]


def test_how_a_score_is_computed_is_part_of_its_name_and_title() -> None:
    names = ["fid", "sse", "peak", "embedding"]
    how = {"peak_sigma_px": 1.5, "tta": "dihedral", "precision": "bf16"}
    found = make_columns(names, "efficientnet_lite0", **how)
    assert {column.column: column.title for column in found} == {
        "fid_efficientnet_lite0_bf16_tta": "FID (EfficientNet-Lite0), bf16, 8 symmetries",
        "sse_bf16_tta": "SSE, bf16, 8 symmetries",
        "peak_1.5px_bf16_tta": "peak 1.5 px, bf16, 8 symmetries",
        "embedding_tta": "embedding, 8 symmetries",  # computed as the method does it
    }


@pytest.mark.parametrize("column", make_columns(SCORE_NAMES, "inception", tta="dihedral"))
def test_a_column_is_read_back_from_json(column: ScoreColumn) -> None:
    fields = json.loads(json.dumps(column.as_dict()))
    assert ScoreColumn.parse(fields) == column
    for wrong in (
        None,
        {},
        fields | {"name": "mse"},
        fields | {"tta": "all"},
        fields | {"precision": "half"},
        fields | {"more": 1},
        fields | {"extractor": None if column.extractor else "inception"},
        fields | {"peak_sigma_px": None if column.peak_sigma_px else 2.0},
    ):
        with pytest.raises(ValueError, match="not a valid score column"):
            ScoreColumn.parse(wrong)


RECONSTRUCTS = ["sse", "fid", "fid_spatial", "peak", "standardised"]


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("cyclegan", [*RECONSTRUCTS, *SIGNALS, *FUSED]),
        ("cyclegan_plus", [*RECONSTRUCTS, *SIGNALS, *FUSED]),
        ("ganomaly", [*RECONSTRUCTS, "embedding"]),
        ("padim", ["embedding"]),
        ("patchcore", ["embedding"]),
        ("linear_probe", ["probe", "probe_peak"]),
    ],
)
def test_scores_that_a_method_has(method: str, names: list[str]) -> None:
    check_method_scores(method, names)
    reasons = {"embedding": "has no embedding"}
    reasons |= dict.fromkeys((*SIGNALS, *FUSED), "has not the four networks")
    reasons |= dict.fromkeys(("probe", "probe_peak"), "is no linear probe")
    for name in set(SCORE_NAMES) - set(names):
        reason = reasons.get(name, "makes no reconstruction")
        with pytest.raises(UserError) as caught:
            check_method_scores(method, [*names, name])
        message = str(caught.value)
        assert f"score.names=[{','.join([*names, name])}]" in message and reason in message
        assert message.endswith(f"score.names=[{','.join(names)}]")


def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys; from cyclegan_ad.scoring.names import check_score_names; "
        "check_score_names(['sse']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_each_term_of_a_fused_score_has_a_title() -> None:
    from cyclegan_ad.scoring.fusion import fused_terms

    assert TERM_TITLES.keys() == set(fused_terms("fused"))
    assert len(set(TERM_TITLES.values())) == len(TERM_TITLES)
