"""From settings to objects: where a dataset is looked for, and a method that follows the seed."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from errors import refuses
from PIL import Image
from tiny import changed, check_settings, compose_settings, draw_folder
from tiny import settings as tiny_settings

from cyclegan_ad.build import build_data, build_method, ensure_method
from cyclegan_ad.data import locate
from cyclegan_ad.data.demo.dataset import FORMAT
from cyclegan_ad.data.samples import list_samples
from cyclegan_ad.methods.cyclegan import CycleGAN
from cyclegan_ad.methods.names import METHODS
from cyclegan_ad.settings.train import Settings
from cyclegan_ad.text import as_typed

SMALL = ("method.generator.base_channels=4", "method.generator.residual_blocks=1")


def compose(*words: str) -> Settings:
    """All settings of a job."""
    return check_settings(compose_settings("train", words))


def test_data_module_gets_every_setting(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "mine")
    (tmp_path / "left_out.txt").write_text("normal/00.png\n\n  abnormal/01.png  \n")
    data = build_data(
        compose(
            *[
                "dataset=folder",
                f"dataset.root={root}",
                f"cache_dir={tmp_path}/cache",
                "resolution=32",
                "seed=5",
                "dataset.name=screws",
                "dataset.channels=1",
                "dataset.window=[-3,9.5]",
                "dataset.batch_size=3",
                "dataset.copies_per_epoch=7",
                "dataset.augmentation=flip",
                f"dataset.exclude={tmp_path}/left_out.txt",
                "dataset.skip_unreadable=true",
                "dataset.storage=disk",
                "dataset.memory_limit_mib=11",
                "dataset.images_on=host",
                "dataset.max_abnormal=4",
                "method.tuning_fraction=0.1",
                "protocol=calibrated",
                "protocol.calibration_fraction=0.3",
            ],
        )
    )
    found = {name: getattr(data, name) for name in EXPECTED}
    assert found == EXPECTED
    assert data.root == root
    assert data.cache_dir == tmp_path / "cache" / "images"
    data.window = None  # which their 8 bits do not take
    data.setup()
    assert len(data.samples) == 13
    assert list((tmp_path / "cache" / "images").glob("*.npy"))


EXPECTED = {
    "dataset_name": "screws",
    "layout": "folder",
    "channels": 1,
    "window": (-3.0, 9.5),
    "size_px": 32,
    "seed": 5,
    "batch_size": 3,
    "copies_per_epoch": 7,
    "augmentation": "flip",
    "classes": ("normal", "abnormal"),
    "calibration_fraction": 0.3,
    "max_abnormal": 4,
    "tuning_fraction": 0.1,
    "exclude": ["normal/00.png", "abnormal/01.png"],
    "skip_unreadable": True,
    "storage": "disk",
    "memory_limit_mib": 11,
    "images_on": "host",
}


@pytest.mark.parametrize("method", ["ganomaly", "padim", "patchcore"])
def test_baselines_train_on_normal_images_alone(tmp_path: Path, method: str) -> None:
    words = ["dataset=folder", f"dataset.root={draw_folder(tmp_path / 'mine')}", f"method={method}"]
    data = build_data(compose(*words))
    assert data.classes == ("normal",)
    # One pass over the images as they are, for those that learn by looking once.
    once = method != "ganomaly"
    assert METHODS[method].fitted is once
    assert (data.augmentation, data.copies_per_epoch) == (("none", 1) if once else ("dihedral", 9))


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), 100).save(path)


def mvtec(root: Path) -> Path:
    picture(root / "train" / "good" / "0.png")
    picture(root / "test" / "good" / "0.png")
    picture(root / "test" / "broken" / "0.png")
    return root


def test_a_dataset_is_found_under_the_data_folder(tmp_path: Path) -> None:
    words = ("dataset=screw", f"data_dir={tmp_path}", f"cache_dir={tmp_path}/cache")
    places = ("screw", "mvtec_ad/screw", "mvtec_anomaly_detection/screw")
    with refuses(
        facts=[str(tmp_path / place) for place in places], remedy="https://www.mvtec.com/"
    ):
        build_data(compose(*words))
    archive = mvtec(tmp_path / "mvtec_anomaly_detection" / "screw")
    assert build_data(compose(*words)).root == archive
    own = mvtec(tmp_path / "screw")
    assert build_data(compose(*words)).root == own


MVTEC = ("train/good/0.png", "test/good/0.png", "test/bad/0.png", "ground_truth/bad/0_mask.png")
BRAIN_MRI = ("no/1 no.jpeg", "yes/Y1.JPG")
BREAST_ULTRASOUND = (
    "normal/normal (1).png",
    "benign/benign (1).png",
    "malignant/malignant (1).png",
)
RETINA_OCT = ("train/NORMAL/N-1-1.jpeg", "train/CNV/C-1-1.jpeg", "test/DME/D-1-1.jpeg")
BUSI = "Dataset_BUSI_with_GT"
ARCHIVES = {  # the folders that an archive unpacks to, also inside one of the user's own
    "hazelnut": (MVTEC, ["mvtec_anomaly_detection/hazelnut", "mvtec_ad/hazelnut", "hazelnut"]),
    "screw": (MVTEC, ["mvtec_anomaly_detection/screw", "mvtec_ad/screw", "screw"]),
    "tile": (MVTEC, ["mvtec_anomaly_detection/tile", "mvtec_ad/tile", "tile"]),
    "wood": (MVTEC, ["mvtec_anomaly_detection/wood", "mvtec_ad/wood", "wood"]),
    "brain_mri": (
        BRAIN_MRI,
        [
            "brain_tumor_dataset",
            "brain-mri-images-for-brain-tumor-detection",
            "brain-mri-images-for-brain-tumor-detection/brain_tumor_dataset",
            "brain_mri/brain_tumor_dataset",
            "archive/brain_tumor_dataset",
            "archive",
        ],
    ),
    "breast_ultrasound": (
        BREAST_ULTRASOUND,
        [
            BUSI,
            "breast-ultrasound-images-dataset",
            f"breast-ultrasound-images-dataset/{BUSI}",
            f"breast_ultrasound/{BUSI}",
            f"archive/{BUSI}",
        ],
    ),
    "retina_oct": (
        RETINA_OCT,
        ["OCT2017 ", "OCT2017", "CellData/OCT", "kermany2018", "ZhangLabData/CellData/OCT"],
    ),
}


@pytest.mark.parametrize(
    ("dataset", "place"),
    [(dataset, place) for dataset, (_, places) in ARCHIVES.items() for place in places],
)
def test_archives_are_found_under_their_own_folder_names(
    tmp_path: Path, dataset: str, place: str
) -> None:
    images = ARCHIVES[dataset][0]
    for image in images:
        picture(tmp_path / place / image)
    data = build_data(compose(f"dataset={dataset}", f"data_dir={tmp_path}"))
    assert data.root == tmp_path / place
    samples = list_samples(data.layout, data.root)
    assert {sample.path for sample in samples} == {i for i in images if "_mask" not in i}
    assert {sample.label for sample in samples} == {0, 1}


@pytest.mark.parametrize("inside", ["kermany2018/OCT2017 ", "ZhangLabData/elsewhere"])
def test_retina_oct_is_found_at_any_depth(tmp_path: Path, inside: str) -> None:
    for image in RETINA_OCT:
        picture(tmp_path / inside / image)
    data = build_data(compose("dataset=retina_oct", f"data_dir={tmp_path}"))
    assert data.root == tmp_path / inside.partition("/")[0]
    assert len(list_samples(data.layout, data.root)) == len(RETINA_OCT)


def test_a_given_root_counts_alone(tmp_path: Path) -> None:
    mvtec(tmp_path / "screw")
    elsewhere = mvtec(tmp_path / "elsewhere")
    words = ("dataset=screw", f"data_dir={tmp_path}", f"cache_dir={tmp_path}/cache")
    assert build_data(compose(*words, f"dataset.root={elsewhere}")).root == elsewhere
    with refuses(setting="dataset.root", value=f"{tmp_path}/nowhere"):
        build_data(compose(*words, f"dataset.root={tmp_path}/nowhere"))


def test_folders_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    own, other = mvtec(tmp_path / "data" / "screw"), mvtec(tmp_path / "other")
    (tmp_path / "list.txt").write_text("test/good/0.png\n")
    words = ("dataset=screw", "data_dir='~/data'", "cache_dir='~/cache'")
    data = build_data(compose(*words, "dataset.exclude='~/list.txt'"))
    assert (data.root, data.cache_dir) == (own, tmp_path / "cache" / "images")
    assert data.exclude == ["test/good/0.png"]
    assert build_data(compose(*words, "dataset.root='~/other'")).root == other


def test_the_demo_is_drawn_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []

    def draw(root: Path) -> Path:
        drawn.append(root)
        return root

    monkeypatch.setattr(locate, "draw_demo", draw)
    data = build_data(compose(f"cache_dir={tmp_path}"))
    assert data.root == tmp_path / f"demo-v{FORMAT}" and drawn == [data.root]
    monkeypatch.setattr(
        locate, "FORMAT", FORMAT + 1
    )  # an upgrade: older data do not stand in its way
    assert build_data(compose(f"cache_dir={tmp_path}")).root == tmp_path / f"demo-v{FORMAT + 1}"
    own = draw_folder(tmp_path / "own")
    assert build_data(compose(f"cache_dir={tmp_path}", f"dataset.root={own}")).root == own
    assert len(drawn) == 2


def test_ones_own_images_need_their_place() -> None:
    with refuses(setting="dataset.root", remedy="dataset.root=PATH"):
        build_data(compose("dataset=folder"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_list_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    root = draw_folder(tmp_path / "mine")
    settings = tiny_settings(root, tmp_path / "runs", f"dataset.exclude={path}")
    with refuses(setting="dataset.exclude", value=path):
        build_data(settings)


def weights(method: CycleGAN) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in method.parameters()])


def test_initial_weights_follow_the_seed_alone() -> None:
    settings = compose("dataset=screw", *SMALL)
    torch.manual_seed(99)
    first = weights(build_method(settings))
    torch.rand(5)
    assert torch.equal(weights(build_method(settings)), first)
    scored_otherwise = compose("dataset=screw", *SMALL, "score=fid_spatial", "logger=csv")
    assert torch.equal(weights(build_method(scored_otherwise)), first)
    assert not torch.equal(weights(build_method(changed(settings, "seed", 1))), first)


def test_generators_and_discriminators_differ_from_each_other() -> None:
    method = build_method(compose("dataset=screw", *SMALL))
    to_normal, to_abnormal = method.generator_to_normal, method.generator_to_abnormal
    pairs = list(zip(to_normal.parameters(), to_abnormal.parameters(), strict=True))
    pairs += zip(
        method.discriminator_normal.parameters(),
        method.discriminator_abnormal.parameters(),
        strict=True,
    )
    assert all(a is not b for a, b in pairs)
    assert not any(torch.equal(a, b) for a, b in pairs if a.dim() > 1)


def test_method_gets_every_setting() -> None:
    method = build_method(
        compose(
            "dataset=hazelnut",
            "seed=4",
            "method.generator.base_channels=4",
            "method.generator.residual_blocks=2",
            "method.discriminator.base_channels=6",
            "method.adversarial_loss=log",
            "method.lambda_cyc=7.0",
            "method.lambda_ide=3.0",
            "method.learning_rate=1e-3",
            "method.betas=[0.4,0.9]",
            "method.pool_size=13",
            "method.decay_start_epoch=11",
            "method.discriminator_augmentation=[cutout,color]",
            "method.opposite_real_weight=0.25",
            "method.ema_decay=0.9",
            "method.ema_discriminators=true",
            "method.downsampling=2",
            "trainer.max_epochs=17",
        )
    )
    assert dict(method.hparams) == {
        "channels": 3,
        "base_channels": 4,
        "residual_blocks": 2,
        "discriminator_base_channels": 6,
        "adversarial_loss": "log",
        "lambda_cyc": 7.0,
        "lambda_ide": 3.0,
        "learning_rate": 1e-3,
        "betas": (0.4, 0.9),
        "pool_size": 13,
        "max_epochs": 17,
        "decay_start_epoch": 11,
        "seed": 4,
        "discriminator_augmentation": ("cutout", "color"),
        "opposite_real_weight": 0.25,
        "ema_decay": 0.9,
        "ema_discriminators": True,
        "downsampling": 2,
    }
    assert all(type(value) in (bool, int, float, str, tuple) for value in method.hparams.values())
    assert method.generator_to_normal.layers[1].in_channels == 3
    assert method.discriminator_normal.layers[0].out_channels == 6
    assert method.pool_normal.size == 13


def test_ganomaly_gets_every_setting() -> None:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    words = [
        "dataset=hazelnut",
        "method=ganomaly",
        "resolution=32",
        "seed=4",
        "method.base_channels=4",
        "method.latent_size=7",
        "method.lambda_adv=2.0",
        "method.lambda_con=3.0",
        "method.lambda_enc=4.0",
        "method.learning_rate=1e-3",
        "method.betas=[0.4,0.9]",
    ]
    first, again = build_method(compose(*words)), build_method(compose(*words))
    assert dict(first.hparams) == {
        "channels": 3,
        "size_px": 32,
        "base_channels": 4,
        "latent_size": 7,
        "lambda_adv": 2.0,
        "lambda_con": 3.0,
        "lambda_enc": 4.0,
        "learning_rate": 1e-3,
        "betas": (0.4, 0.9),
        "seed": 4,
    }
    assert torch.equal(weights(first), weights(again))


@pytest.mark.parametrize(
    ("method", "own"),
    [
        ("padim", {"layers": ("layer1",), "n_features": 5}),
        ("patchcore", {"layers": ("layer2",), "coreset_ratio": 0.3, "n_neighbors": 4}),
    ],
)
def test_fitted_methods_get_every_setting(method: str, own: dict[str, Any]) -> None:
    pytest.importorskip("anomalib", reason="extra 'baselines'")
    asked = own | {"backbone": "resnet18", "pretrained": False, "max_train_images": 11}
    words = [f"method.{key}={as_typed(value)}" for key, value in asked.items()]
    settings = compose("dataset=screw", f"method={method}", "resolution=32", "seed=4", *words)
    built = build_method(settings)
    expected = asked | {"channels": 1, "size_px": 32, "weights_path": None, "seed": 4}
    assert dict(built.hparams) == expected


def test_methods_that_need_no_package_are_always_possible() -> None:
    ensure_method(compose("dataset=screw"))


@pytest.mark.parametrize("method", ["ganomaly", "padim", "patchcore"])
def test_a_missing_package_is_told_before_the_images_are_read(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anomalib", None)
    with refuses(setting="method", value=method, remedy=("pip install", "baselines")):
        ensure_method(compose("dataset=screw", f"method={method}"))
