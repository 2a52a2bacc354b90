"""Settings given in Python are those of the command line."""

from pathlib import Path
from typing import Any

import pytest
from errors import refuses
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from tiny import compose_settings, draw_folder

from cyclegan_ad.cli.python_settings import training_settings
from cyclegan_ad.settings.composing import conf_dir
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.settings.types import read_settings


def typed(*words: str) -> Settings:
    return read_settings(Settings, compose_settings("train", words))


def test_each_way_to_give_a_setting() -> None:
    given: dict[str, Any] = {
        "resolution": 128,
        "method": "patchcore",
        "backbone": None,
        "overwrite": True,
        "score": "embedding",
        "protocol": {"margin": 0.05, "name": "crossfit"},
        "method.coreset_ratio": 0.5,
        "method.layers": ["layer1", "layer2"],
        "runs": Path("my runs/it's, (a) [b]=c"),
    }
    expected = typed(
        "dataset=screw",
        "resolution=128",
        "method=patchcore",
        "backbone=null",
        "overwrite=true",
        "score=embedding",
        "protocol.margin=0.05",
        "protocol.name=crossfit",
        "method.coreset_ratio=0.5",
        "method.layers=[layer1,layer2]",
        r"runs='my runs/it\'s, (a) [b]=c'",
    )
    assert training_settings("screw", given) == expected
    assert training_settings("demo", {}) == typed()
    assert training_settings("screw", {"preset": "cpu_quick"}) == typed(
        "dataset=screw", "+preset=cpu_quick"
    )


@pytest.mark.parametrize("runs", ["C:\\runs", "a\\'b", "ends with \\"])
def test_a_path_with_backslashes_is_not_changed(tmp_path: Path, runs: str) -> None:
    assert training_settings(draw_folder(tmp_path), {"runs": runs}).runs == Path(runs)


def test_a_folder_is_a_dataset(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "my parts, 2", 1, 1)
    assert training_settings(root, {}).dataset.root == root
    with refuses(setting="dataset", facts=("cow", "screw"), remedy="folder"):
        training_settings("cow", {})


@pytest.mark.parametrize(
    ("given", "facts"),
    [
        ({"seed": "x"}, "seed=x"),
        ({"trainer": {"epochs": 3}}, "trainer.epochs"),
        ({"lr": 3}, "lr"),
        ({"method": 3}, "method=3"),
        ({"method": "cow"}, ("method=cow", "patchcore")),
        ({"resolution": 66}, "resolution=66"),
    ],
)
def test_a_wrong_setting_is_one_line(given: dict[str, Any], facts: str) -> None:
    with refuses(facts=facts):
        training_settings("demo", given)


def test_hydra_of_the_caller_is_left_alone() -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        training_settings("demo", {"seed": 3})
        assert compose("train", ["seed=5"])["seed"] == 5
    assert not GlobalHydra.instance().is_initialized()
