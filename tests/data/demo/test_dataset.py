"""The embedded demo data on disk: complete or absent, the same for everyone, and not too easy."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from errors import refuses
from numpy.typing import NDArray
from PIL import Image

from cyclegan_ad.data.demo import dataset
from cyclegan_ad.data.demo.dataset import draw_demo, draw_image
from cyclegan_ad.data.demo.defects import KINDS


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_demo(tmp_path_factory.mktemp("data") / "demo", seed=0, size_px=64)


def read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_counts_kinds_and_masks_on_disk(root: Path) -> None:
    assert len(list((root / "normal").iterdir())) == 200
    abnormal = sorted(path.name for path in (root / "abnormal").iterdir())
    assert abnormal == [f"{kind}_{k:03d}.png" for kind in sorted(KINDS) for k in range(15)]
    assert abnormal == sorted(path.name for path in (root / "masks").iterdir())
    image = Image.open(root / "abnormal" / abnormal[0])
    assert (image.mode, image.size) == ("RGB", (64, 64))
    for name in abnormal:
        covered = (read(root / "masks" / name) > 0).mean()
        assert 0.002 < covered < 0.25, name


def test_files_hold_the_drawn_pixels(root: Path) -> None:
    image, mask = draw_image(0, 7, 1, 64)  # the second missing part
    assert (read(root / "abnormal" / "missing_001.png") == image).all()
    assert ((read(root / "masks" / "missing_001.png") > 0) == mask).all()
    assert (read(root / "normal" / "tile_199.png") == draw_image(0, 199, 0, 64)[0]).all()


def test_every_argument_of_the_drawing_matters() -> None:
    reference = draw_image(0, 0, 0, 64)[0]
    for seed, index, label in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        assert (draw_image(seed, index, label, 64)[0] != reference).mean() > 0.5


def test_default_size_is_128_px() -> None:
    assert draw_image(0, 0, 0)[0].shape == (128, 128, 3)


def test_complete_data_are_not_drawn_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "draw_image", None)  # drawing would fail
    assert draw_demo(root, seed=0, size_px=64) == root


def test_interrupted_drawing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seed: int, index: int, label: int, size_px: int) -> object:
        if index == 3:
            raise KeyboardInterrupt
        return draw_image(seed, index, label, size_px)

    monkeypatch.setattr(dataset, "draw_image", stop)
    with pytest.raises(KeyboardInterrupt):
        draw_demo(tmp_path / "demo", size_px=16)
    assert list(tmp_path.iterdir()) == []


def test_leftover_of_a_killed_process_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".demo-1-00000000" / "normal").mkdir(parents=True)
    draw_demo(tmp_path / "demo", size_px=16)
    assert (tmp_path / "demo" / "demo.json").is_file()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert len(list(draw_demo(tmp_path, size_px=16).rglob("*.png"))) == 320


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        jobs = [pool.apply_async(draw_demo, (tmp_path / "demo", 0, 16)) for _ in range(4)]
        assert [job.get(timeout=120) for job in jobs] == [tmp_path / "demo"] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert files(tmp_path / "demo") == files(draw_demo(tmp_path / "alone", 0, 16))


def test_the_slower_of_two_processes_takes_what_the_faster_one_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, write = tmp_path / "demo", dataset._write

    def write_while_another_finishes(draft: Path, seed: int, size_px: int) -> None:
        write(draft, seed, size_px)
        monkeypatch.setattr(dataset, "_write", write)
        draw_demo(root, seed, size_px)

    monkeypatch.setattr(dataset, "_write", write_while_another_finishes)
    assert draw_demo(root, 0, 16) == root
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.parametrize("setting", ["seed", "size_px", "format"])
def test_data_drawn_otherwise_are_refused_untouched(
    root: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(root)
    seed, size_px = (1 if setting == "seed" else 0), (32 if setting == "size_px" else 64)
    if setting == "format":
        monkeypatch.setattr(dataset, "FORMAT", dataset.FORMAT + 1)
    with refuses(file=root, facts=setting, remedy=("delete", "cache_dir=PATH")):
        draw_demo(root, seed, size_px)
    assert files(root) == before


def test_a_folder_of_the_users_own_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_bytes(b"mine")
    with refuses(file=tmp_path, facts="demo.json"):
        draw_demo(tmp_path)
    assert files(tmp_path) == {"holiday.png": b"mine"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with refuses(file=tmp_path / "file" / "demo", remedy="cache_dir=PATH"):
        draw_demo(tmp_path / "file" / "demo", size_px=16)


def test_a_lost_image_is_noticed(tmp_path: Path) -> None:
    draw_demo(tmp_path / "demo", size_px=16)
    (tmp_path / "demo" / "normal" / "tile_042.png").unlink()
    with refuses(file="normal/tile_042.png", facts="1"):
        draw_demo(tmp_path / "demo", size_px=16)


def test_marker_names_what_was_drawn(root: Path) -> None:
    marker = json.loads((root / "demo.json").read_text(encoding="utf-8"))
    assert marker == {"format": dataset.FORMAT, "seed": 0, "size_px": 64}


def sse_auroc(normal: NDArray[np.float64], abnormal: NDArray[np.float64]) -> float:
    """Share of (abnormal, normal) pairs in which the abnormal image scores higher."""
    return float((abnormal[:, None] > normal[None]).mean())


def test_mean_image_does_not_solve_it_but_a_linear_model_of_normal_tiles_gets_far(
    root: Path,
) -> None:
    def load(folder: str) -> NDArray[np.float64]:
        paths = sorted((root / folder).iterdir())
        return np.stack([read(path).ravel() / 127.5 - 1 for path in paths])

    normal, abnormal = load("normal"), load("abnormal")
    train, test = normal[:170], normal[170:]
    mean = train.mean(axis=0)
    easy = sse_auroc(*(((images - mean) ** 2).sum(axis=1) for images in (test, abnormal)))
    _, _, axes = np.linalg.svd(train - mean, full_matrices=False)

    def residual(images: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = images - mean
        return np.asarray(np.square(centred - centred @ axes[:100].T @ axes[:100]).sum(axis=1))

    learned = sse_auroc(residual(test), residual(abnormal))
    assert easy < 0.75
    assert learned > 0.90
