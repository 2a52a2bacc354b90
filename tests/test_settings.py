"""Each kind of check, at its boundaries: a wrong setting is named with its value and the remedy."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
from errors import refuses
from tiny import ABSENT, changed, compose_settings, setting

from cyclegan_ad.settings import check_settings, residual_blocks_at

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """All settings of ``dataset=screw``. Do not change them."""
    return compose_settings("train", ["dataset=screw"])


def assert_refused(
    settings: dict[str, Any],
    name: str,
    value: object,
    remedy: str | Sequence[str] = (),
    facts: str | Sequence[str] = (),
) -> None:
    with refuses(setting=name, value=value, remedy=remedy, facts=facts):
        check_settings(changed(settings, name, value))


def test_the_real_settings_pass(composed: dict[str, Any]) -> None:
    before = copy.deepcopy(composed)
    check_settings(composed)
    assert composed == before


@pytest.mark.parametrize("size", [32, 36, 64, 100, 128, 256, 1024])
def test_possible_sizes(composed: dict[str, Any], size: int) -> None:
    check_settings(changed(composed, "resolution", size))


@pytest.mark.parametrize(
    "size", [66, 65, 67, 28, 31, 0, -64, 64.0, "64", None, True, [64], NAN, "sixty-four"]
)
def test_impossible_sizes(composed: dict[str, Any], size: object) -> None:
    assert_refused(composed, "resolution", size, ("multiple of 4", "32"))


# One setting of each kind: texts, whole numbers, a mixture.
CHOICES = {
    "protocol.name": ("paper", "crossfit"),  # calibrated needs images, see below
    "dataset.channels": (1, 3),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed", "64-true"),
    "trainer.compile": ("auto", True, False),
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices(composed: dict[str, Any], name: str) -> None:
    for choice in CHOICES[name]:
        check_settings(changed(composed, name, choice))
    for wrong in ("nonsense", "", None, 2, [CHOICES[name][0]], str(CHOICES[name][0]).upper() + "1"):
        assert_refused(composed, name, wrong, [str(choice) for choice in CHOICES[name]])


@pytest.mark.parametrize("wrong", [True, 1.0, 3.0, "3", 0, 4])
def test_channels_are_the_whole_numbers_1_and_3(composed: dict[str, Any], wrong: object) -> None:
    assert_refused(composed, "dataset.channels", wrong, ("1", "3"))


SMALLEST = {
    "seed": 0,
    "dataset.batch_size": 1,
    "method.pool_size": 0,
    "method.generator.residual_blocks": 1,
    "protocol.folds": 2,
    "trainer.max_epochs": 1,
}


@pytest.mark.parametrize("name", SMALLEST)
def test_whole_numbers(composed: dict[str, Any], name: str) -> None:
    least = SMALLEST[name]
    for possible in (least, least + 1, 1000):
        check_settings(changed(composed, name, possible))
    for wrong in (least - 1, -5, 1.5, 2.0, "2", "", None, True, False, NAN, INF, [3]):
        assert_refused(composed, name, wrong, str(least))


def test_largest_seed(composed: dict[str, Any]) -> None:
    check_settings(changed(composed, "seed", 2**32 - 1))
    assert_refused(composed, "seed", 2**32, str(2**32 - 1))


@pytest.mark.parametrize("name", ["method.lambda_cyc", "method.lambda_ide", "method.learning_rate"])
def test_numbers(composed: dict[str, Any], name: str) -> None:
    for possible in (0, 0.0, 1e-9, 10, 10.5):
        check_settings(changed(composed, name, possible))
    for wrong in (-1e-9, -1, NAN, INF, "10", "1e-4x", None, True, [1.0]):
        assert_refused(composed, name, wrong, "0")


@pytest.mark.parametrize(
    "name", ["overwrite", "dataset.skip_unreadable", "trainer.activation_checkpointing"]
)
def test_booleans(composed: dict[str, Any], name: str) -> None:
    for possible in (True, False):
        check_settings(changed(composed, name, possible))
    for wrong in (0, 1, "true", "yes", None, ""):
        assert_refused(composed, name, wrong, ("true", "false"))


@pytest.mark.parametrize(
    "name", ["runs", "data_dir", "cache_dir", "dataset.name", "dataset.source", "logger.project"]
)
def test_texts(composed: dict[str, Any], name: str) -> None:
    check_settings(changed(composed, name, "some text"))
    for wrong in (5, 1.5, True, None, ["a"]):
        assert_refused(composed, name, wrong)


@pytest.mark.parametrize("name", ["run_name", "dataset.name"])
@pytest.mark.parametrize("wrong", ["..", "", "a/b", "../x", " "])
def test_names_of_folders(composed: dict[str, Any], name: str, wrong: str) -> None:
    assert_refused(composed, name, wrong, "folder")
    check_settings(changed(composed, name, "wide-2.0"))


@pytest.mark.parametrize("name", ["run_name", "dataset.root", "dataset.exclude", "logger.entity"])
def test_texts_that_may_be_null(composed: dict[str, Any], name: str) -> None:
    for possible in (None, "some text"):
        check_settings(changed(composed, name, possible))
    for wrong in (1.5, True, ["a"]):
        assert_refused(composed, name, wrong)


def test_a_run_may_be_named_by_a_number(composed: dict[str, Any]) -> None:
    check_settings(changed(composed, "run_name", 7))
    assert_refused(composed, "dataset.root", 7)


@pytest.mark.parametrize("name", ["dataset.folders", "score.names"])
@pytest.mark.parametrize("wrong", ["sse", None, 5, [["sse"]], [None], {"sse": 1}])
def test_lists_of_texts(composed: dict[str, Any], name: str, wrong: object) -> None:
    assert_refused(composed, name, wrong, "list")


def test_scores_and_extractor(composed: dict[str, Any]) -> None:
    for names in (["sse"], ["fid", "sse"], ["fid_spatial"], ["peak", "standardised"]):
        check_settings(changed(composed, "score.names", names))
    for names, facts in ((["sse", "ssim"], "ssim"), ([], "score")):
        with refuses(facts=facts, remedy="sse"):
            check_settings(changed(composed, "score.names", names))
    check_settings(changed(composed, "score.extractor", "efficientnet_lite0"))
    for wrong in ("vgg", None):
        with refuses(setting="score.extractor", facts=str(wrong), remedy="efficientnet_lite0"):
            check_settings(changed(composed, "score.extractor", wrong))


def test_an_embedding_needs_a_method_that_has_one(composed: dict[str, Any]) -> None:
    possible = "score.names=[sse,fid,fid_spatial,peak,standardised]"
    with refuses(setting="method", value="cyclegan", facts="'embedding'", remedy=possible):
        check_settings(changed(composed, "score.names", ["sse", "embedding"]))
    ganomaly = compose_settings("train", ["dataset=screw", "method=ganomaly"])
    check_settings(changed(ganomaly, "score.names", ["sse", "embedding", "peak"]))


def test_width_of_the_peak(composed: dict[str, Any]) -> None:
    for possible in (1e-3, 1, 2.5, setting(composed, "resolution")):
        check_settings(changed(composed, "score.peak_sigma_px", possible))
    above = setting(composed, "resolution") + 1
    for wrong in (0, 0.0, -1, NAN, INF, "2", None, True, above, 10**400):
        assert_refused(composed, "score.peak_sigma_px", wrong, ("0", "resolution", str(above - 1)))


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("protocol.margin", "at least"),
        ("protocol.calibration_fraction", "at least"),
        ("protocol.confidence", "above"),
    ],
)
def test_shares(composed: dict[str, Any], name: str, least: str) -> None:
    composed = changed(composed, "protocol.name", "crossfit")
    for possible in (1e-9, 0.05, 0.5, 1 - 1e-9, *((0, 0.0) if least == "at least" else ())):
        check_settings(changed(composed, name, possible))
    for wrong in (-1e-9, 1, 1.0, 20, NAN, INF, "0.1", None, True, False, [0.1]):
        assert_refused(composed, name, wrong, ("0", "1"))
    if least == "above":
        assert_refused(composed, name, 0, ("0", "1"))


def test_the_papers_thresholds_have_no_margin(composed: dict[str, Any]) -> None:
    remedy = ("protocol=crossfit", "protocol=calibrated")
    assert_refused(composed, "protocol.margin", 0.05, remedy, facts="protocol=paper")


@pytest.mark.parametrize("fraction", [0, 0.0])
def test_calibrated_needs_images_to_calibrate_with(
    composed: dict[str, Any], fraction: float
) -> None:
    settings = changed(composed, "protocol.name", "calibrated")
    check_settings(changed(settings, "protocol.calibration_fraction", 0.01))
    with refuses(
        setting="protocol.calibration_fraction", value=0, facts="protocol=calibrated", remedy="1"
    ):
        check_settings(changed(settings, "protocol.calibration_fraction", fraction))


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_methods_of_one_pass_take_one_epoch(method: str) -> None:
    settings = compose_settings("train", ["dataset=screw", f"method={method}"])
    assert_refused(settings, "trainer.max_epochs", 2, facts=f"method={method}")
    assert_refused(settings, "method.pretrained", 3)


@pytest.mark.parametrize("name", ["method.lambda_adv", "method.lambda_con", "method.lambda_enc"])
def test_numbers_of_ganomaly(name: str) -> None:
    settings = compose_settings("train", ["dataset=screw", "method=ganomaly"])
    check_settings(changed(settings, name, 0))
    for wrong in (-0.1, NAN, "1"):
        assert_refused(settings, name, wrong, "0")
    for name in ("method.base_channels", "method.latent_size"):
        for wrong in (0, 1.5):
            assert_refused(settings, name, wrong, "1")


def test_methods_that_there_are(composed: dict[str, Any]) -> None:
    assert_refused(composed, "method.name", "dsr", "cyclegan, ganomaly, padim, patchcore")


def test_start_of_the_decay(composed: dict[str, Any]) -> None:
    name, epochs = "method.decay_start_epoch", setting(composed, "trainer.max_epochs")
    assert epochs == 200
    for possible in (None, 0, 1, epochs):
        check_settings(changed(composed, name, possible))
    for wrong in (-1, epochs + 1, 1.5, "middle", True, False):
        assert_refused(composed, name, wrong, "trainer.max_epochs=200")


def test_betas(composed: dict[str, Any]) -> None:
    for possible in ([0, 0], [0.5, 0.999], [0.0, 0.9999]):
        check_settings(changed(composed, "method.betas", possible))
    for wrong in ([0.5], [0.5, 0.9, 0.9], [0.5, 1], [-0.1, 0.9], [0.5, NAN], ["a", 0.9], 0.5, None):
        assert_refused(composed, "method.betas", wrong)


def test_devices(composed: dict[str, Any]) -> None:
    for possible in ("auto", 1, 8):
        check_settings(changed(composed, "trainer.devices", possible))
    for wrong in (0, -1, 1.0, "2", "all", None, True, [0, 1]):
        assert_refused(composed, "trainer.devices", wrong, "auto")


@pytest.mark.parametrize(
    "name",
    [
        "resolution",
        "seed",
        "runs",
        "dataset.name",
        "dataset.channels",
        "trainer.devices",
        "trainer.compile",
        "score.names",
        "score.extractor",
        "score.tta",
        "score.precision",
        "score.peak_sigma_px",
        "protocol.name",
        "protocol.folds",
        "protocol.margin",
        "protocol.confidence",
        "protocol.calibration_fraction",
        "dataset.root",
    ],
)
def test_a_setting_that_was_deleted_is_named(composed: dict[str, Any], name: str) -> None:
    with refuses(setting=name):
        check_settings(changed(composed, name, ABSENT))


def test_a_group_that_was_deleted_is_named(composed: dict[str, Any]) -> None:
    for nothing in (ABSENT, None):
        with refuses(setting="trainer."):
            check_settings(changed(composed, "trainer", nothing))


@pytest.mark.parametrize(
    "name",
    ["logger.mode", "logger.project", "method.lambda_cyc", "method.betas", "method.generator"],
)
def test_what_only_some_loggers_and_methods_have_may_be_absent(
    composed: dict[str, Any], name: str
) -> None:
    check_settings(changed(composed, name, ABSENT))


@pytest.mark.parametrize(("size", "blocks"), [(32, 6), (252, 6), (255, 6), (256, 9), (1024, 9)])
def test_residual_blocks(size: int, blocks: int) -> None:
    assert residual_blocks_at(size) == blocks
