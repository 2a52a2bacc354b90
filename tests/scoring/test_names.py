import subprocess
import sys

import pytest
from errors import refuses

from cyclegan_ad.pretrained.names import EXTRACTOR_NAMES, check_extractor_name
from cyclegan_ad.scoring.names import (
    SCORE_NAMES,
    check_method_scores,
    check_score_names,
    score_column,
    score_columns,
)


def test_unknown_names_list_the_choices() -> None:
    with refuses(facts="'mse'", remedy="sse, fid, fid_spatial, peak"):
        check_score_names(["sse", "mse"])
    with refuses(setting="score.extractor", facts="vgg", remedy="inception, efficientnet_lite0"):
        check_extractor_name("vgg")
    with refuses(remedy="sse"):
        check_score_names([])


def test_columns_are_distinct() -> None:
    columns = {
        score_column(name, extractor, peak_sigma_px=2)
        for name in SCORE_NAMES
        for extractor in EXTRACTOR_NAMES
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
    }


@pytest.mark.parametrize(
    ("sigma_px", "column"), [(2, "peak_2px"), (2.0, "peak_2px"), (0.5, "peak_0.5px")]
)
def test_the_width_of_the_smoothing_names_the_peak_alone(sigma_px: float, column: str) -> None:
    assert score_column("peak", "inception", peak_sigma_px=sigma_px) == column
    assert score_column("sse", "inception", peak_sigma_px=sigma_px) == "sse"


def test_test_time_augmentation_comes_last() -> None:
    columns = score_columns(
        {
            "names": ["fid", "sse", "peak", "fid", "embedding"],
            "extractor": "efficientnet_lite0",
            "peak_sigma_px": 1.5,
            "tta": "dihedral",
            "precision": "float32",
            "batch_size": 4,
        }
    )
    assert columns == [
        "fid_efficientnet_lite0_tta",
        "sse_tta",
        "peak_1.5px_tta",
        "embedding_tta",
    ]


def test_bfloat16_has_columns_of_its_own() -> None:
    score = {
        "names": ["sse", "fid", "peak", "embedding"],
        "extractor": "efficientnet_lite0",
        "peak_sigma_px": 2,
        "tta": "dihedral",
        "precision": "bf16",
    }
    assert score_columns(score) == [
        "sse_bf16_tta",
        "fid_efficientnet_lite0_bf16_tta",
        "peak_2px_bf16_tta",
        "embedding_tta",  # computed as the method does it, whatever the setting
    ]


RECONSTRUCTS = ["sse", "fid", "fid_spatial", "peak", "standardised"]


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("cyclegan", RECONSTRUCTS),
        ("ganomaly", [*RECONSTRUCTS, "embedding"]),
        ("padim", ["embedding"]),
        ("patchcore", ["embedding"]),
    ],
)
def test_scores_that_a_method_has(method: str, names: list[str]) -> None:
    check_method_scores(method, names)
    for name in set(SCORE_NAMES) - set(names):
        listed = f"score.names=[{','.join(names)}]"
        with refuses(setting="method", value=method, facts=f"'{name}'", remedy=listed):
            check_method_scores(method, [*names, name])


def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys; from cyclegan_ad.scoring.names import check_score_names; "
        "check_score_names(['sse']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
