import subprocess
import sys

import pytest

from cyclegan_ad.errors import UserError
from cyclegan_ad.score_names import (
    EXTRACTOR_NAMES,
    SCORE_NAMES,
    check_extractor_name,
    check_score_names,
    score_column,
)


def test_unknown_names_list_the_choices() -> None:
    with pytest.raises(UserError, match=r"unknown score 'mse'.*sse, fid, fid_spatial"):
        check_score_names(["sse", "mse"])
    with pytest.raises(UserError, match=r"'vgg'.*score\.extractor.*inception, efficientnet_lite0"):
        check_extractor_name("vgg")
    with pytest.raises(UserError, match="no score was asked for"):
        check_score_names([])


def test_columns_are_distinct() -> None:
    columns = {
        score_column(name, extractor) for name in SCORE_NAMES for extractor in EXTRACTOR_NAMES
    }
    assert columns == {
        "sse",
        "fid",
        "fid_spatial",
        "fid_efficientnet_lite0",
        "fid_spatial_efficientnet_lite0",
    }


def test_names_are_checked_without_torch() -> None:
    code = (
        "import sys; from cyclegan_ad.score_names import check_score_names; "
        "check_score_names(['sse']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
