"""Each kind of check, at its boundaries: a wrong setting is named with its value and the remedy."""

import copy
from typing import Any

import pytest
from errors import refuses
from tiny import ABSENT, changed, check_settings, compose_settings

from cyclegan_ad.errors import UserError
from cyclegan_ad.settings.composing import downsampling_at, residual_blocks_at
from cyclegan_ad.settings.train import (
    Settings,
    makes_another_training,
    training_differences,
)
from cyclegan_ad.settings.types import read_settings
from cyclegan_ad.text import as_typed

NAN, INF = float("nan"), float("inf")


def compose(*words: str) -> dict[str, Any]:
    return compose_settings("train", ["dataset=screw", *words])


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """All settings of ``dataset=screw``. Do not change them."""
    return compose()


def read(settings: dict[str, Any], name: str, value: object) -> Settings:
    return read_settings(Settings, changed(settings, name, value))


def refusal(settings: dict[str, Any], name: str, value: object) -> str:
    """What is said of a wrong value; it names the setting and the value as it is typed."""
    with pytest.raises(UserError) as caught:
        read(settings, name, value)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"invalid {name}={as_typed(value)[:60]}"), message
    return message


def test_the_real_settings_are_kept(composed: dict[str, Any]) -> None:
    before = copy.deepcopy(composed)
    found = read_settings(Settings, composed).as_dict()
    assert composed == before
    before["method"]["decay_start_epoch"] = 100  # null: the middle
    assert found == before
    assert read_settings(Settings, found).as_dict() == found


def test_settings_cannot_be_changed(composed: dict[str, Any]) -> None:
    settings = read_settings(Settings, composed)
    for part, name in ((settings, "seed"), (settings.trainer, "max_epochs")):
        with pytest.raises(ValueError, match="frozen"):
            setattr(part, name, 1)
    other = settings.replaced({"seed": 7, "trainer.max_epochs": 9, "method.decay_start_epoch": 3})
    assert (other.seed, other.trainer.max_epochs, settings.seed) == (7, 9, 0)
    with pytest.raises(UserError, match=r"invalid trainer\.max_epochs=0"):
        settings.replaced({"trainer.max_epochs": 0})


@pytest.mark.parametrize("size", [32, 36, 64, 100, 128, 256, 1024])
def test_possible_sizes(composed: dict[str, Any], size: int) -> None:
    assert read(composed, "resolution", size).resolution == size


@pytest.mark.parametrize(
    "size", [66, 65, 67, 28, 31, 0, -64, 64.0, "64", None, True, [64], NAN, "sixty-four"]
)
def test_impossible_sizes(composed: dict[str, Any], size: object) -> None:
    assert ">= 32" in refusal(composed, "resolution", size)


CHOICES: dict[str, tuple[object, ...]] = {
    "protocol.name": ("paper", "crossfit"),  # calibrated needs images, see below
    "score.tta": ("none", "dihedral"),
    "score.extractor": ("inception", "efficientnet_lite0"),
    "score.precision": ("float32", "bf16"),
    "dataset.layout": ("mvtec", "brain_mri", "breast_ultrasound", "retina_oct"),
    "dataset.channels": (1, 3),
    "dataset.augmentation": ("dihedral", "flip", "none"),
    "dataset.storage": ("auto", "memory", "disk"),
    "dataset.images_on": ("auto", "device", "host"),
    "dataset.skip_unreadable": (True, False),
    "method.adversarial_loss": ("least_squares", "log"),
    "trainer.accelerator": ("auto", "cpu", "gpu"),
    "trainer.strategy": ("auto", "ddp"),
    "trainer.precision": ("auto", "32-true", "bf16-mixed", "16-mixed", "64-true"),
    "trainer.compile": ("auto", True, False),
    "trainer.compile_mode": ("default", "reduce-overhead", "max-autotune"),
    "trainer.activation_checkpointing": (True, False),
    "overwrite": (True, False),
    "logger.mode": ("auto", "online", "offline", "disabled"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_choices(composed: dict[str, Any], name: str) -> None:
    for choice in CHOICES[name]:
        read(composed, name, choice)
    for wrong in ("nonsense", "", None, 2, 1.0, [CHOICES[name][0]], f"{CHOICES[name][0]}1", "True"):
        message = refusal(composed, name, wrong)
        assert all(as_typed(choice) in message for choice in CHOICES[name])


def test_names_that_choose_a_group(composed: dict[str, Any]) -> None:
    assert "cyclegan, cyclegan_plus, ganomaly, padim, patchcore" in refusal(
        composed, "method.name", "dsr"
    )
    assert "wandb, csv, tensorboard, none" in refusal(composed, "logger.kind", "mlflow")


def test_changes_of_the_augmentation_are_named(composed: dict[str, Any]) -> None:
    name = "method.discriminator_augmentation"
    for possible in ("none", ["color"], ["cutout", "translation", "color"]):
        read(composed, name, possible)
    for wrong in ("color", [], ["colour"], ["none"], None, True, [1]):
        assert "none or a list of some of color, translation, cutout" in refusal(
            composed, name, wrong
        )


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
    "trainer.auroc_every_n_epochs": 0,
}


@pytest.mark.parametrize("name", SMALLEST)
def test_integers(composed: dict[str, Any], name: str) -> None:
    least = SMALLEST[name]
    for possible in (least, least + 1, 1000):
        read(composed, name, possible)
    for wrong in (least - 1, -5, 1.5, 2.0, "2", "", None, True, False, NAN, INF, [3]):
        assert refusal(composed, name, wrong).endswith(f": expected an integer >= {least}")
    assert "<=" in refusal(composed, name, 2**40)


def test_a_limit_of_abnormal_images(composed: dict[str, Any]) -> None:
    for possible in (None, 1, 1000):
        assert read(composed, "dataset.max_abnormal", possible).dataset.max_abnormal == possible
    for wrong in (0, -1, 1.5, "5", True):
        assert "null or an integer >= 1" in refusal(composed, "dataset.max_abnormal", wrong)


def test_without_abnormal_images_there_is_no_limit_of_them() -> None:
    job = compose_settings("train", ["method=padim", "protocol=quantile", "dataset.max_abnormal=3"])
    with refuses(setting="dataset.max_abnormal", value=3, remedy="remove one"):
        check_settings(job)


def test_the_share_for_tuning_is_that_of_the_cyclegan() -> None:
    job = check_settings(compose_settings("train", ["method.tuning_fraction=0.25"]))
    assert job.tuning_fraction == 0.25
    for method in ("cyclegan", "ganomaly", "padim", "patchcore"):
        other = compose_settings("train", [f"method={method}"])
        assert check_settings(other).tuning_fraction == 0


def test_largest_seed(composed: dict[str, Any]) -> None:
    assert read(composed, "seed", 2**32 - 1).seed == 2**32 - 1
    assert "4294967295" in refusal(composed, "seed", 2**32)


@pytest.mark.parametrize("name", ["method.lambda_cyc", "method.lambda_ide", "method.learning_rate"])
def test_numbers(composed: dict[str, Any], name: str) -> None:
    for possible in (0, 0.0, 1e-9, 10, 10.5):
        read(composed, name, possible)
    for wrong in (-1e-9, -1, NAN, INF, "10", "1e-4x", None, True, [1.0]):
        assert refusal(composed, name, wrong).endswith(": expected a number >= 0")


@pytest.mark.parametrize("name", ["dataset.name", "dataset.source", "logger.project"])
def test_strings(composed: dict[str, Any], name: str) -> None:
    read(composed, name, "some text")
    for wrong in (5, 1.5, True, ["a"], *([] if name == "dataset.name" else [None])):
        assert "a string (quote a number" in refusal(composed, name, wrong)


@pytest.mark.parametrize("name", ["run_name", "logger.entity"])
def test_strings_that_may_be_null(composed: dict[str, Any], name: str) -> None:
    for possible in (None, "some-text"):
        read(composed, name, possible)
    for wrong in (1.5, True, ["a"]):
        assert "null or a string" in refusal(composed, name, wrong)


@pytest.mark.parametrize("name", ["run_name", "dataset.name"])
@pytest.mark.parametrize("wrong", ["..", "", "a/b", "../x", " "])
def test_names_of_folders(composed: dict[str, Any], name: str, wrong: str) -> None:
    assert "folder name" in refusal(composed, name, wrong)
    read(composed, name, "wide-2.0")


def test_a_run_may_be_named_by_a_number(composed: dict[str, Any]) -> None:
    assert read(composed, "run_name", 7).run_name == 7


@pytest.mark.parametrize("name", ["runs", "data_dir", "cache_dir", "dataset.root"])
def test_paths(composed: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/her")
    *groups, last = name.split(".")
    for typed, meant in (("x/y", "x/y"), ("~/x", "/home/her/x"), ("name-\udcff", "name-\udcff")):
        at: Any = read(composed, name, typed)
        for group in groups:
            at = getattr(at, group)
        assert str(getattr(at, last)) == meant
    for wrong in (5, 1.5, True, ["a"], "", "a\0b", "~nobody-of-this-name/x"):
        refusal(composed, name, wrong)


@pytest.mark.parametrize("name", ["dataset.folders", "score.names"])
@pytest.mark.parametrize("wrong", ["sse", None, 5, [["sse"]], [None], {"sse": 1}])
def test_lists_of_strings(composed: dict[str, Any], name: str, wrong: object) -> None:
    assert "expected a list such as [a,b]" in refusal(composed, name, wrong)


def test_scores(composed: dict[str, Any]) -> None:
    for names in (["sse"], ["fid", "sse"], ["fid_spatial"], ["peak", "standardised"]):
        assert list(read(composed, "score.names", names).score.names) == names
    for wrong in (["sse", "ssim"], []):
        assert "sse, fid, fid_spatial" in refusal(composed, "score.names", wrong)


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_scores_that_the_method_does_not_have(method: str) -> None:
    settings = compose(f"method={method}")
    for names in (["sse"], ["embedding", "sse"]):
        message = refusal(settings, "score.names", names)
        assert f"method={method} makes no reconstruction" in message
        assert message.endswith("score.names=[embedding]")


def test_an_embedding_needs_a_method_that_has_one(composed: dict[str, Any]) -> None:
    assert "has no embedding" in refusal(composed, "score.names", ["sse", "embedding"])
    read(compose("method=ganomaly"), "score.names", ["sse", "embedding", "peak"])


def test_width_of_the_peak(composed: dict[str, Any]) -> None:
    for possible in (1e-3, 1, 2.5, composed["resolution"]):
        read(composed, "score.peak_sigma_px", possible)
    for wrong in (0, 0.0, -1, NAN, INF, "2", None, True, composed["resolution"] + 1, 10**400):
        assert "a number > 0" in refusal(composed, "score.peak_sigma_px", wrong)


@pytest.mark.parametrize(
    ("name", "zero"),
    [
        ("protocol.margin", True),
        ("protocol.calibration_fraction", True),
        ("protocol.confidence", False),
        ("protocol.false_alarm_rate", False),
    ],
)
def test_shares(name: str, zero: bool) -> None:
    settings = compose("protocol=crossfit")
    for possible in (1e-9, 0.05, 0.5, 1 - 1e-9, *((0, 0.0) if zero else ())):
        read(settings, name, possible)
    sign = ">=" if zero else ">"
    for wrong in (-1e-9, 1, 1.0, 20, NAN, INF, "0.1", None, True, False, [0.1]):
        assert refusal(settings, name, wrong).endswith(f": expected a number {sign} 0 and < 1")
    if not zero:
        refusal(settings, name, 0)


def test_what_protocols_need(composed: dict[str, Any]) -> None:
    assert "protocol=crossfit" in refusal(composed, "protocol.margin", 0.05)
    calibrated = compose("protocol=calibrated")
    read(calibrated, "protocol.calibration_fraction", 0.01)
    for none in (0, 0.0):
        assert "protocol=calibrated" in refusal(calibrated, "protocol.calibration_fraction", none)


def test_what_a_quantile_needs(composed: dict[str, Any]) -> None:
    quantile = compose("protocol=quantile", "method=padim")
    assert read(quantile, "protocol.false_alarm_rate", 0.01).protocol.normal_only
    assert not read_settings(Settings, composed).protocol.normal_only
    assert "protocol=quantile" in refusal(quantile, "protocol.calibration_fraction", 0)
    assert "protocol=quantile" in refusal(quantile, "protocol.margin", 0.1)
    # The method that trains on abnormal images cannot do without.
    with refuses(
        setting="protocol",
        value="quantile",
        facts="method=cyclegan",
        remedy=["ganomaly", "padim", "patchcore"],
    ):
        read_settings(Settings, compose("protocol=quantile"))


def test_start_of_the_decay(composed: dict[str, Any]) -> None:
    name = "method.decay_start_epoch"
    for typed, meant in ((None, 100), (0, 0), (1, 1), (200, 200)):
        assert read(composed, name, typed).method.decay_start_epoch == meant  # type: ignore[union-attr]
    for wrong in (-1, 201, 1.5, "middle", True, False):
        assert "null" in refusal(composed, name, wrong)
    assert "trainer.max_epochs=200" in refusal(composed, name, 201)


def test_betas(composed: dict[str, Any]) -> None:
    for possible in ([0, 0], [0.5, 0.999], [0.0, 0.9999]):
        read(composed, "method.betas", possible)
    for wrong in ([0.5], [0.5, 0.9, 0.9], [0.5, 1], [-0.1, 0.9], [0.5, NAN], ["a", 0.9], 0.5, None):
        assert "a list of 2 values, each a number" in refusal(composed, "method.betas", wrong)


def test_a_window(composed: dict[str, Any]) -> None:
    for possible in ([0, 4095], [-1024.5, 3071], [0, 1e-3], None):
        read(composed, "dataset.window", possible)
    for wrong in ([5], [1, 2, 3], [0, NAN], [0, INF], ["a", 2], 4095, "x", {}):
        message = refusal(composed, "dataset.window", wrong)
        assert "null or a list of 2 values, each a number" in message
    for wrong in ([5, 5], [4095, 0]):
        message = refusal(composed, "dataset.window", wrong)
        assert f"dataset.window={as_typed(wrong)}" in message and "LOW < HIGH" in message


def test_devices(composed: dict[str, Any]) -> None:
    several = compose("trainer=ddp")
    for possible in ("auto", 1, 8):
        assert read(several, "trainer.devices", possible).trainer.devices == possible
    for wrong in (0, -1, 1.0, "2", "all", None, True, [0, 1]):
        assert "auto or an integer >= 1" in refusal(several, "trainer.devices", wrong)
    assert "add trainer=ddp" in refusal(composed, "trainer.devices", 2)
    assert read(compose("method=padim"), "trainer.devices", 2).trainer.devices == 2  # takes one


def test_float16_needs_a_gpu() -> None:
    for name, value in (("trainer.precision", "16-mixed"),):
        assert "needs a GPU" in refusal(compose("trainer=cpu"), name, value)


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_methods_of_one_pass(method: str) -> None:
    settings = compose(f"method={method}")
    assert f"method={method}" in refusal(settings, "trainer.max_epochs", 2)
    assert "true or false" in refusal(settings, "method.pretrained", 3)
    for backbone in ("vgg", ["resnet18"]):
        assert "resnet18, wide_resnet50_2" in refusal(settings, "method.backbone", backbone)
    for wrong in ([], ["layer2", "layer1"], ["layer1", "layer1"], ["blocks.1"]):
        assert "[layer1,layer2,layer3,layer4]" in refusal(settings, "method.layers", wrong)
    refusal(settings, "method.layers", "layer1")
    assert "null or an integer >= 1" in refusal(settings, "method.max_train_images", 0)
    assert "null or a path" in refusal(settings, "method.weights_path", 5)
    random = changed(settings, "method.pretrained", False)
    message = refusal(random, "method.weights_path", "a.pth")
    assert "method.pretrained=false" in message
    read(changed(settings, "method.layers", ["layer1", "layer2"]), "method.max_train_images", 100)


def test_defaults_of_a_backbone_are_filled_in() -> None:
    padim = read_settings(Settings, compose("method=padim")).method.as_dict()
    assert padim["layers"] == ["layer1", "layer2", "layer3"] and padim["n_features"] == 100
    assert "448" in refusal(compose("method=padim"), "method.n_features", 449)
    patchcore = read_settings(Settings, compose("method=patchcore", "backbone=efficientnet_lite0"))
    assert patchcore.method.as_dict()["layers"] == ["blocks.2", "blocks.4"]
    for name, wrong in (("n_neighbors", None), ("n_neighbors", True), ("coreset_ratio", 0)):
        refusal(compose("method=patchcore"), f"method.{name}", wrong)
    assert "<= 1" in refusal(compose("method=patchcore"), "method.coreset_ratio", 1.5)


def test_a_wrong_backbone_is_named_as_it_was_typed() -> None:
    with pytest.raises(UserError, match=r"invalid backbone=vgg: .*resnet18"):
        read_settings(Settings, compose("method=padim", "backbone=vgg"))


def test_settings_of_ganomaly() -> None:
    settings = compose("method=ganomaly")
    for name in ("method.lambda_adv", "method.lambda_con", "method.lambda_enc"):
        read(settings, name, 0)
        for wrong in (-0.1, NAN, "1"):
            assert "a number >= 0" in refusal(settings, name, wrong)
    for name in ("method.base_channels", "method.latent_size"):
        for wrong in (0, 1.5):
            assert "an integer >= 1" in refusal(settings, name, wrong)


def test_a_setting_that_is_missing_or_unknown_is_named(composed: dict[str, Any]) -> None:
    for name in (
        "resolution",
        "runs",
        "dataset.root",
        "protocol.folds",
        "method.generator",
        "trainer",
    ):
        with pytest.raises(UserError) as caught:
            read(composed, name, ABSENT)
        assert str(caught.value) == f"missing setting {name}: add {name}=VALUE"
    with pytest.raises(UserError, match=r"unknown setting trainer\.max_steps"):
        read(composed, "trainer", composed["trainer"] | {"max_steps": 3})
    for wrong in (None, 5):
        assert "a group of settings" in refusal(composed, "trainer", wrong)


def test_what_makes_another_training(composed: dict[str, Any]) -> None:
    one = read_settings(Settings, composed)
    other = one.replaced({"seed": 4, "method.lambda_cyc": 5, "logger.mode": "offline", "runs": "x"})
    assert training_differences(one.training(), other.training()) == [
        ("method.lambda_cyc", 10.0, 5.0),
        ("seed", 0, 4),
    ]
    other = read_settings(Settings, compose("method=ganomaly"))
    found = {
        name: (old, new)
        for name, old, new in training_differences(one.training(), other.training())
    }
    assert found["method.pool_size"] == (50, None) and found["method.latent_size"] == (None, 100)
    assert makes_another_training("trainer.precision")
    assert not makes_another_training("trainer.accelerator")


@pytest.mark.parametrize(("size", "blocks"), [(32, 6), (252, 6), (255, 6), (256, 9), (1024, 9)])
def test_residual_blocks(size: int, blocks: int) -> None:
    assert residual_blocks_at(size) == blocks


@pytest.mark.parametrize(
    ("size", "factor"), [(32, 1), (64, 1), (124, 1), (128, 2), (132, 1), (136, 2), (256, 4)]
)
def test_downsampling_leaves_at_least_64_px(size: int, factor: int) -> None:
    assert downsampling_at(size) == factor


@pytest.mark.parametrize("factor", [3, 4])
def test_downsampling_leaves_a_multiple_of_4_of_at_least_32_px(factor: int) -> None:
    with refuses(setting="method.downsampling", value=factor, remedy="a multiple of 4 >= 32"):
        read_settings(Settings, compose("resolution=64", f"method.downsampling={factor}"))
