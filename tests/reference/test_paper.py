"""How the paper trained."""

import pytest
from hydra.core.global_hydra import GlobalHydra
from tiny import compose_settings, setting

from cyclegan_ad.reference.paper import paper_settings, paper_table1
from cyclegan_ad.settings.train import Settings, training_differences
from cyclegan_ad.settings.types import read_settings


@pytest.mark.parametrize("dataset", ["screw", "brain_mri", "retina_oct"])
@pytest.mark.parametrize("resolution", [64, 256])
def test_the_settings_are_those_of_the_command(dataset: str, resolution: int) -> None:
    words = [f"dataset={dataset}", f"resolution={resolution}", "trainer.precision=32-true"]
    command = read_settings(Settings, compose_settings("train", words)).training()
    paper = paper_settings("cyclegan", dataset, resolution).training()
    assert training_differences(paper, command) == []


def test_facts_of_the_paper() -> None:
    settings = paper_settings("cyclegan", "hazelnut", 256)
    assert setting(settings, "method.generator") == {"base_channels": 64, "residual_blocks": 9}
    assert (setting(settings, "method.lambda_cyc"), setting(settings, "method.lambda_ide")) == (
        10,
        5,
    )
    assert setting(settings, "method.learning_rate") == 2e-4
    assert setting(settings, "trainer.max_epochs") == 200
    assert setting(settings, "dataset.copies_per_epoch") == 9
    assert setting(settings, "dataset.batch_size") == 16
    assert setting(paper_settings("cyclegan", "retina_oct", 64), "trainer.max_epochs") == 50


def test_the_other_methods_have_but_one_size_and_remember_all_images() -> None:
    for method in ("ganomaly", "padim", "patchcore"):
        assert setting(paper_settings(method, "retina_oct", 64), "resolution") == 256
    assert setting(paper_settings("padim", "retina_oct", 256), "method.max_train_images") is None


def test_a_command_keeps_its_own_hydra() -> None:
    class OfACommand:
        pass

    hydra = OfACommand()
    GlobalHydra.instance().hydra = hydra  # type: ignore[assignment]
    try:
        paper_settings("ganomaly", "wood", 256)
        assert GlobalHydra.instance().hydra is hydra
    finally:
        GlobalHydra.instance().clear()


def test_table_1_has_the_seven_datasets() -> None:
    assert len(paper_table1()) == 7
    assert paper_table1()["screw"].behind_table2 == 59
