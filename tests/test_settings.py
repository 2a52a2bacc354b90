"""Each kind of check, at its boundaries: a wrong setting is named with its value and the remedy."""

import copy
from typing import Any

import pytest
from tiny import ABSENT, changed, compose_settings, setting

from cyclegan_ad.errors import UserError
from cyclegan_ad.settings import check_settings, residual_blocks_at

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """All settings of ``dataset=screw``. Do not change them."""
    return compose_settings("train", ["dataset=screw"])


def refusal(settings: dict[str, Any], name: str, value: object) -> str:
    with pytest.raises(UserError) as caught:
        check_settings(changed(settings, name, value))
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
    message = refusal(composed, "resolution", size)
    assert message.startswith(f"resolution={size} is not possible")
    assert "multiple of 4" in message and "32" in message


CHOICES = {
    "protocol.name": ("paper", "crossfit"),  # calibrated needs images, see below
    "score.tta": ("none", "dihedral"),
    "score.precision": ("float32", "bf16"),
    "dataset.layout": ("mvtec", "brain_mri", "breast_ultrasound", "retina_oct", "folder"),
    "dataset.channels": (1, 3),
    "dataset.augmentation": ("dihedral", "flip", "none"),
    "dataset.storage": ("auto", "memory", "disk"),
    "dataset.images_on": ("auto", "device", "host"),
    "method.adversarial_loss": ("least_squares", "log"),
    "trainer.accelerator": ("auto", "cpu", "gpu"),
    "trainer.strategy": ("auto", "ddp"),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed", "64-true"),
    "trainer.compile": ("auto", True, False),
    "trainer.compile_mode": ("default", "reduce-overhead", "max-autotune"),
    "logger.kind": ("wandb", "csv", "tensorboard", "none"),
    "logger.mode": ("auto", "online", "offline", "disabled"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices(composed: dict[str, Any], name: str) -> None:
    for choice in CHOICES[name]:
        check_settings(changed(composed, name, choice))
    for wrong in ("nonsense", "", None, 2, [CHOICES[name][0]], str(CHOICES[name][0]).upper() + "1"):
        message = refusal(composed, name, wrong)
        assert message.startswith(f"{name}={wrong} is not possible; choose one of ")
        assert all(str(choice) in message for choice in CHOICES[name])


@pytest.mark.parametrize("wrong", [True, 1.0, 3.0, "3", 0, 4])
def test_channels_are_the_whole_numbers_1_and_3(composed: dict[str, Any], wrong: object) -> None:
    assert refusal(composed, "dataset.channels", wrong).startswith(f"dataset.channels={wrong} ")


SMALLEST = {
    "seed": 0,
    "dataset.copies_per_epoch": 1,
    "dataset.batch_size": 1,
    "dataset.memory_limit_mib": 0,
    "method.generator.base_channels": 1,
    "method.generator.residual_blocks": 1,
    "method.discriminator.base_channels": 1,
    "method.pool_size": 0,
    "protocol.folds": 2,
    "score.batch_size": 1,
    "trainer.max_epochs": 1,
    "trainer.log_every_n_steps": 1,
    "trainer.checkpoint_every_n_epochs": 1,
    "trainer.snapshot_every_n_epochs": 0,
}


@pytest.mark.parametrize("name", SMALLEST)
def test_whole_numbers(composed: dict[str, Any], name: str) -> None:
    least = SMALLEST[name]
    for possible in (least, least + 1, 1000):
        check_settings(changed(composed, name, possible))
    for wrong in (least - 1, -5, 1.5, 2.0, "2", "", None, True, False, NAN, INF, [3]):
        message = refusal(composed, name, wrong)
        assert message == f"{name}={wrong} is not possible; it is a whole number >= {least}"


def test_largest_seed(composed: dict[str, Any]) -> None:
    check_settings(changed(composed, "seed", 2**32 - 1))
    assert "seed=4294967296 is not possible" in refusal(composed, "seed", 2**32)


@pytest.mark.parametrize("name", ["method.lambda_cyc", "method.lambda_ide", "method.learning_rate"])
def test_numbers(composed: dict[str, Any], name: str) -> None:
    for possible in (0, 0.0, 1e-9, 10, 10.5):
        check_settings(changed(composed, name, possible))
    for wrong in (-1e-9, -1, NAN, INF, "10", "1e-4x", None, True, [1.0]):
        message = refusal(composed, name, wrong)
        assert message == f"{name}={wrong} is not possible; it is a number >= 0"


@pytest.mark.parametrize(
    "name", ["overwrite", "dataset.skip_unreadable", "trainer.activation_checkpointing"]
)
def test_booleans(composed: dict[str, Any], name: str) -> None:
    for possible in (True, False):
        check_settings(changed(composed, name, possible))
    for wrong in (0, 1, "true", "yes", None, ""):
        message = refusal(composed, name, wrong)
        assert message == f"{name}={wrong} is not possible; use true or false"


@pytest.mark.parametrize(
    "name", ["runs", "data_dir", "cache_dir", "dataset.name", "dataset.source", "logger.project"]
)
def test_texts(composed: dict[str, Any], name: str) -> None:
    check_settings(changed(composed, name, "some text"))
    for wrong in (5, 1.5, True, None, ["a"]):
        message = refusal(composed, name, wrong)
        assert message.startswith(f"{name}={wrong} is not possible; it is a text")


@pytest.mark.parametrize("name", ["run_name", "dataset.name"])
@pytest.mark.parametrize("wrong", ["..", "", "a/b", "../x", " "])
def test_names_of_folders(composed: dict[str, Any], name: str, wrong: str) -> None:
    assert "it becomes a folder's name" in refusal(composed, name, wrong)
    check_settings(changed(composed, name, "wide-2.0"))


@pytest.mark.parametrize("name", ["run_name", "dataset.root", "dataset.exclude", "logger.entity"])
def test_texts_that_may_be_null(composed: dict[str, Any], name: str) -> None:
    for possible in (None, "some text"):
        check_settings(changed(composed, name, possible))
    for wrong in (1.5, True, ["a"]):
        assert refusal(composed, name, wrong).startswith(f"{name}={wrong} is not possible")


def test_a_run_may_be_named_by_a_number(composed: dict[str, Any]) -> None:
    check_settings(changed(composed, "run_name", 7))
    assert "dataset.root=7 is not possible" in refusal(composed, "dataset.root", 7)


@pytest.mark.parametrize("name", ["dataset.folders", "score.names"])
@pytest.mark.parametrize("wrong", ["sse", None, 5, [["sse"]], [None], {"sse": 1}])
def test_lists_of_texts(composed: dict[str, Any], name: str, wrong: object) -> None:
    message = refusal(composed, name, wrong)
    assert message.startswith(f"{name}={wrong} is not possible; it is a list")


def test_scores_and_extractor(composed: dict[str, Any]) -> None:
    for names in (["sse"], ["fid", "sse"], ["fid_spatial"], ["peak", "standardised"]):
        check_settings(changed(composed, "score.names", names))
    assert "unknown score 'ssim'" in refusal(composed, "score.names", ["sse", "ssim"])
    assert "no score was asked for" in refusal(composed, "score.names", [])
    check_settings(changed(composed, "score.extractor", "efficientnet_lite0"))
    for wrong in ("vgg", None):
        assert f"extractor '{wrong}'" in refusal(composed, "score.extractor", wrong)


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_scores_that_the_method_does_not_have(method: str) -> None:
    settings = compose_settings("train", ["dataset=screw", f"method={method}"])
    check_settings(settings)
    for names in (["sse"], ["embedding", "sse"]):
        assert refusal(settings, "score.names", names) == (
            f"method={method} makes no reconstruction, so it has no score 'sse': leave score out, "
            "or take score.names=[embedding] or some of it"
        )


def test_an_embedding_needs_a_method_that_has_one(composed: dict[str, Any]) -> None:
    assert refusal(composed, "score.names", ["sse", "embedding"]) == (
        "method=cyclegan has no embedding, so it has no score 'embedding': leave score out, or "
        "take score.names=[sse,fid,fid_spatial,peak,standardised] or some of it"
    )
    ganomaly = compose_settings("train", ["dataset=screw", "method=ganomaly"])
    check_settings(changed(ganomaly, "score.names", ["sse", "embedding", "peak"]))


def test_width_of_the_peak(composed: dict[str, Any]) -> None:
    for possible in (1e-3, 1, 2.5, setting(composed, "resolution")):
        check_settings(changed(composed, "score.peak_sigma_px", possible))
    above = setting(composed, "resolution") + 1
    for wrong in (0, 0.0, -1, NAN, INF, "2", None, True, above, 10**400):
        assert refusal(composed, "score.peak_sigma_px", wrong) == (
            f"score.peak_sigma_px={wrong} is not possible; it is a number above 0, at most "
            f"the resolution ({composed['resolution']})"
        )


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
        message = refusal(composed, name, wrong)
        assert message == (f"{name}={wrong} is not possible; it is a number {least} 0 and below 1")
    if least == "above":
        assert refusal(composed, name, 0).startswith(f"{name}=0 is not possible")


def test_the_papers_thresholds_have_no_margin(composed: dict[str, Any]) -> None:
    assert refusal(composed, "protocol.margin", 0.05) == (
        "protocol.margin=0.05 is not possible with protocol=paper, whose thresholds have none; use "
        "protocol=crossfit or protocol=calibrated"
    )


@pytest.mark.parametrize("fraction", [0, 0.0])
def test_calibrated_needs_images_to_calibrate_with(
    composed: dict[str, Any], fraction: float
) -> None:
    settings = changed(composed, "protocol.name", "calibrated")
    check_settings(changed(settings, "protocol.calibration_fraction", 0.01))
    assert refusal(settings, "protocol.calibration_fraction", fraction) == (
        "protocol.calibration_fraction=0 is not possible with protocol=calibrated: it needs images "
        "to calibrate with; give a number above 0 and below 1"
    )


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_methods_of_one_pass_take_one_epoch(method: str) -> None:
    settings = compose_settings("train", ["dataset=screw", f"method={method}"])
    assert refusal(settings, "trainer.max_epochs", 2) == (
        f"trainer.max_epochs=2 is not possible with method={method}: it is fitted in one pass; "
        "leave it out"
    )
    assert refusal(settings, "method.pretrained", 3).startswith("method.pretrained=3 ")


@pytest.mark.parametrize("name", ["method.lambda_adv", "method.lambda_con", "method.lambda_enc"])
def test_numbers_of_ganomaly(name: str) -> None:
    settings = compose_settings("train", ["dataset=screw", "method=ganomaly"])
    check_settings(changed(settings, name, 0))
    for wrong in (-0.1, NAN, "1"):
        message = refusal(settings, name, wrong)
        assert message == f"{name}={wrong} is not possible; it is a number >= 0"
    for name in ("method.base_channels", "method.latent_size"):
        for wrong in (0, 1.5):
            message = refusal(settings, name, wrong)
            assert message == f"{name}={wrong} is not possible; it is a whole number >= 1"


def test_methods_that_there_are(composed: dict[str, Any]) -> None:
    assert refusal(composed, "method.name", "dsr") == (
        "method.name=dsr is not possible; choose one of cyclegan, ganomaly, padim, patchcore"
    )


def test_start_of_the_decay(composed: dict[str, Any]) -> None:
    name, epochs = "method.decay_start_epoch", setting(composed, "trainer.max_epochs")
    assert epochs == 200
    for possible in (None, 0, 1, epochs):
        check_settings(changed(composed, name, possible))
    for wrong in (-1, epochs + 1, 1.5, "middle", True, False):
        message = refusal(composed, name, wrong)
        assert message.startswith(f"{name}={wrong} is not possible")
        assert "trainer.max_epochs=200" in message


def test_betas(composed: dict[str, Any]) -> None:
    for possible in ([0, 0], [0.5, 0.999], [0.0, 0.9999]):
        check_settings(changed(composed, "method.betas", possible))
    for wrong in ([0.5], [0.5, 0.9, 0.9], [0.5, 1], [-0.1, 0.9], [0.5, NAN], ["a", 0.9], 0.5, None):
        message = refusal(composed, "method.betas", wrong)
        assert message.startswith(f"method.betas={wrong} is not possible")


def test_devices(composed: dict[str, Any]) -> None:
    for possible in ("auto", 1, 8):
        check_settings(changed(composed, "trainer.devices", possible))
    for wrong in (0, -1, 1.0, "2", "all", None, True, [0, 1]):
        message = refusal(composed, "trainer.devices", wrong)
        assert message.startswith(f"trainer.devices={wrong} is not possible; it is auto or")


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
    assert refusal(composed, name, ABSENT) == f"{name} is missing; give it as {name}=VALUE"


def test_a_group_that_was_deleted_is_named(composed: dict[str, Any]) -> None:
    assert refusal(composed, "trainer", ABSENT).startswith("trainer.")
    assert refusal(composed, "trainer", None).startswith("trainer.")


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
