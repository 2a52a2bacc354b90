"""Evaluation with methods whose reconstructions are known, so that numbers can be worked out."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from errors import refuses
from PIL import Image
from scored import make_scores
from sklearn.metrics import roc_auc_score
from torch import Tensor

from cyclegan_ad.data.datamodule import AnomalyDataModule
from cyclegan_ad.evaluation import test_set
from cyclegan_ad.evaluation.error_variance import error_variance
from cyclegan_ad.evaluation.test_set import Evaluation, evaluate
from cyclegan_ad.methods.interface import EmbeddingResult
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.pretrained.features import FeatureExtractor, Features
from cyclegan_ad.scoring.map_batches import map_batches
from cyclegan_ad.scoring.scores import Scores

SIZE = 8
# Grey level of each image, all different.
NORMAL = (0, 30, 60, 90, 20, 50, 80, 110)
ABNORMAL = (40, 70, 100, 130, 160, 190, 220, 255)


class Method:
    """Reconstructs by a function of the images, and notes the batches it is given."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function
        self.batches: list[Tensor] = []

    def reconstruct(self, images: Tensor) -> Tensor:
        self.batches.append(images)
        return self.function(images)


class Pixels(FeatureExtractor):
    """The pixels themselves are the features."""

    name = "efficientnet_lite0"

    def _extract(self, images: Tensor) -> Features:
        return Features(images.flatten(1), images)


def black(images: Tensor) -> Tensor:
    """Grey level 0, which is -1 in memory."""
    return torch.full_like(images, -1.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """8 even images a class; the mask of an abnormal one is its left half."""
    root = tmp_path / "even"
    for name, levels in (("normal", NORMAL), ("abnormal", ABNORMAL)):
        (root / name).mkdir(parents=True)
        for i, level in enumerate(levels):
            Image.new("L", (SIZE, SIZE), level).save(root / name / f"{i}.png")
    (root / "masks").mkdir()
    mask = Image.new("L", (SIZE, SIZE), 0)
    mask.paste(255, (0, 0, SIZE // 2, SIZE))
    for i in range(len(ABNORMAL)):
        mask.save(root / "masks" / f"{i}.png")
    return root


def read(root: Path, **changes: Any) -> AnomalyDataModule:
    arguments: dict[str, Any] = {
        "name": "even",
        "layout": "folder",
        "root": root,
        "channels": 1,
        "window": None,
        "size_px": SIZE,
        "seed": 0,
        "batch_size": 4,
        "copies_per_epoch": 1,
        "augmentation": "none",
        "classes": ("normal", "abnormal"),
        "calibration_fraction": 0.0,
        "normal_only": False,
        "exclude": (),
        "skip_unreadable": False,
        "storage": "memory",
        "memory_limit_mib": 64,
        "cache_dir": root.parent / "cache",
        "images_on": "auto",
    }
    data = AnomalyDataModule(**(arguments | changes))
    data.setup()
    return data


def score(
    data: AnomalyDataModule,
    function: Callable[[Tensor], Tensor] = black,
    batch_size: int = 3,
    scores: Scores | None = None,
) -> Evaluation:
    return evaluate(
        Method(function),
        data,
        make_scores(["sse"]) if scores is None else scores,
        device=torch.device("cpu"),
        batch_size=batch_size,
    )


def level(data: AnomalyDataModule, index: int) -> int:
    folder, _, name = data.samples[index].path.partition("/")
    return {"normal": NORMAL, "abnormal": ABNORMAL}[folder][int(name.removesuffix(".png"))]


def test_scores_thresholds_and_order(root: Path) -> None:
    data = read(root)
    found = score(data)
    assert tuple(found.test.indices) == data.split.test
    assert found.test.indices.dtype == found.test.labels.dtype == np.int64
    assert found.test.labels.tolist() == [data.samples[i].label for i in data.split.test]
    assert found.test.labels.sum() == 4
    # An image of grey level g is g / 127.5 - 1, its reconstruction -1: g / 127.5 on 64 pixels.
    levels = np.array([level(data, i) for i in data.split.test])
    assert list(found.test.scores) == ["sse"]
    assert found.test.scores["sse"].dtype == np.float64
    np.testing.assert_allclose(found.test.scores["sse"], 64 * (levels / 127.5) ** 2, rtol=1e-6)

    normal, abnormal = levels[found.test.labels == 0], levels[found.test.labels == 1]
    summary = found.summary["sse"]
    zfn = abnormal.min()
    assert summary["zfn_threshold"] == pytest.approx(64 * (zfn / 127.5) ** 2, rel=1e-6)
    assert summary["zfn_accuracy"] == (4 + (normal < zfn).sum()) / 8
    best = max(((abnormal >= at).sum() + (normal < at).sum()) / 8 for at in levels)
    assert summary["max_accuracy"] == best
    assert summary["auroc"] == pytest.approx(roc_auc_score(found.test.labels, levels), rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8, 16])
def test_results_do_not_depend_on_the_size_of_the_batches(root: Path, batch_size: int) -> None:
    data = read(root)

    def shifted(images: Tensor) -> Tensor:  # left half brighter by a fraction of the image
        result = images.clone()
        result[..., : SIZE // 2] *= 0.7
        return result

    whole, parts = score(data, shifted, 16), score(data, shifted, batch_size)
    np.testing.assert_array_equal(parts.test.indices, whole.test.indices)
    np.testing.assert_array_equal(parts.test.labels, whole.test.labels)
    np.testing.assert_array_equal(parts.test.scores["sse"], whole.test.scores["sse"])
    assert parts.summary == whole.summary
    assert parts.localisation == whole.localisation is not None


def test_every_test_image_is_reconstructed_once(root: Path) -> None:
    method = Method(black)
    evaluate(method, read(root), make_scores(["sse"]), device=torch.device("cpu"), batch_size=16)
    assert list(map(len, method.batches)) == [8]  # small images: one call


def test_a_gpu_gets_batches(root: Path) -> None:
    # "meta" computes nothing, but is no CPU.
    data, seen = read(root), []
    gpu = torch.device("meta")
    batches = map_batches(seen.append, data.split.test, gpu, batch_size=3, size_px=SIZE)
    assert [batch for batch, _ in batches] == seen
    assert [len(batch) for batch in seen] == [3, 3, 2]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_neither_batch_nor_threads_move_a_score(root: Path, precision: str) -> None:
    """Convolutions add up in an order that depends on both."""
    torch.manual_seed(0)
    generator = Generator(1, base_channels=16, residual_blocks=2).eval()
    data = read(root, size_px=32)
    threads = torch.get_num_threads()
    found = []
    try:
        for number, batch_size in ((1, 1), (2, 16), (3, 5)):
            torch.set_num_threads(number)
            names = ["sse", "peak", "standardised", "fid"]
            options: Any = {"peak_sigma_px": 2, "tta": "dihedral", "precision": precision}
            found.append(
                score(data, generator, batch_size, make_scores(names, Pixels(), **options))
            )
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        assert other.test.scores.keys() == found[0].test.scores.keys()
        for column, values in other.test.scores.items():
            np.testing.assert_array_equal(values, found[0].test.scores[column], column)
        assert other.localisation == found[0].localisation


def test_each_content_is_scored_once_and_copies_get_its_score(root: Path) -> None:
    for name in ("normal", "abnormal"):
        for i in range(1, 8):
            shutil.copy(root / name / "0.png", root / name / f"{i}.png")
    method, data = Method(black), read(root)
    found = evaluate(method, data, make_scores(["sse"]), device=torch.device("cpu"), batch_size=4)
    assert sorted(levels_seen(method)) == [0, 40]
    assert len(set(found.test.scores["sse"])) == 2
    assert found.localisation is not None and found.localisation["masked_images"] == 4


@pytest.mark.parametrize("batch_size", [1, 16])
def test_deep_scores_stand_beside_the_others(root: Path, batch_size: int) -> None:
    found = score(read(root), black, batch_size, make_scores(["fid", "sse"], Pixels()))
    assert list(found.test.scores) == list(found.summary) == ["fid_efficientnet_lite0", "sse"]
    # Even images: the features of each have no spread, and their distance is 3 times that of grey.
    deep = found.test.scores["fid_efficientnet_lite0"]
    np.testing.assert_allclose(deep, 3 * found.test.scores["sse"], rtol=1e-6)
    assert found.summary["fid_efficientnet_lite0"]["auroc"] == found.summary["sse"]["auroc"]


def test_localisation_of_a_perfect_and_of_a_blind_method(root: Path) -> None:
    data = read(root)
    abnormal = [i for i in data.split.test if data.samples[i].label == 1]
    values = torch.stack([data.images_at([i]).max() for i in abnormal])

    def left_half(images: Tensor) -> Tensor:
        """Different where the masks are, and only there."""
        result = images.clone()
        for image in result:
            if (image.max() == values).any():
                image[..., : SIZE // 2] -= 1.0
        return result

    found = score(data, left_half)
    assert found.localisation == {"pixel_auroc": 1.0, "aupro": 1.0, "masked_images": 4}
    blind = score(data, lambda images: images.clone())
    assert blind.localisation is not None
    assert blind.localisation["pixel_auroc"] == 0.5


def test_localisation_by_hand(root: Path) -> None:
    data = read(root)
    found = score(data)  # the map of an image is even: (level / 127.5)^2 on every pixel
    pixels, truth = [], []
    for i in data.split.test:
        masked = data.samples[i].label == 1
        pixels += 64 * [level(data, i)]
        truth += 32 * [int(masked)] + 32 * [0]
    assert found.localisation is not None
    expected = roc_auc_score(truth, pixels)
    assert found.localisation["pixel_auroc"] == pytest.approx(expected, rel=1e-9)
    # Of the 384 normal pixels, a normal image holds 64 and an abnormal one 32, in its right half;
    # each of the 4 left halves is a region. By falling level:
    #   abnormal 130   overlap 1/4   false positives 1/12
    #   abnormal 100   overlap 2/4   false positives 2/12
    #   normal 90      overlap 2/4   false positives 4/12, beyond the limit of 0.3
    levels = sorted((-level(data, i), data.samples[i].label) for i in data.split.test)
    assert levels[:4] == [(-130, 1), (-100, 1), (-90, 0), (-80, 0)]
    area = (0 + 1 / 4) / 2 / 12 + (1 / 4 + 2 / 4) / 2 / 12 + 2 / 4 * (0.3 - 2 / 12)
    assert found.localisation["aupro"] == pytest.approx(area / 0.3) == pytest.approx(13 / 36)


def test_without_ground_truth_nothing_is_said_of_places(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mask in (root / "masks").iterdir():
        mask.unlink()
    # The maps of a large test set would fill the memory.
    monkeypatch.setattr(test_set, "PixelLocalisation", lambda: pytest.fail("keeps the maps"))
    assert score(read(root)).localisation is None


def test_images_without_a_mask_do_not_count_for_places(root: Path) -> None:
    data = read(root)
    tested = [data.samples[i] for i in data.split.test if data.samples[i].label == 1]
    (root / tested[0].mask[0]).unlink()
    found = score(read(root))
    assert found.localisation is not None
    assert found.localisation["masked_images"] == 3
    # An empty mask is no ground truth of a defect.
    for sample in tested[1:]:
        Image.new("L", (SIZE, SIZE), 0).save(root / sample.mask[0])
    assert score(read(root)).localisation is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_an_image_whose_score_is_not_finite_is_named(
    root: Path, value: float, batch_size: int
) -> None:
    data = read(root)
    bad = data.split.test[5]
    others = [data.samples[i].path for i in data.split.test if i != bad]

    def broken(images: Tensor) -> Tensor:
        result = images.clone()
        result[images == data.images_at([bad]).max()] = value
        return result

    with refuses(file=data.samples[bad].path, facts="sse", remedy="overwrite=true") as caught:
        score(data, broken, batch_size)
    assert not any(path in str(caught.value) for path in others)


def test_all_images_whose_scores_are_not_finite_are_named(root: Path) -> None:
    data = read(root)
    paths = ", ".join(data.samples[i].path for i in data.split.test)
    with refuses(facts=("sse", paths), remedy="overwrite=true"):
        score(data, lambda images: images * float("nan"), 16)


def test_no_gradient_is_kept(root: Path) -> None:
    modes: list[bool] = []

    def watched(images: Tensor) -> Tensor:
        modes.append(torch.is_grad_enabled())
        return black(images)

    score(read(root), watched)
    assert modes and not any(modes)


def levels_seen(method: Method) -> list[int]:
    """Grey levels of the images that a method was given, in order."""
    return [round((image.mean().item() + 1) * 127.5) for batch in method.batches for image in batch]


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_calibration_images_are_scored_and_judge_nothing(root: Path, batch_size: int) -> None:
    whole, data = read(root), read(root, calibration_fraction=0.5)
    assert score(whole).calibration is None
    found = score(data, batch_size=batch_size)
    kept = found.calibration
    assert kept is not None
    assert tuple(kept.indices) == data.split.calibration
    assert kept.labels.tolist() == [1, 1]
    levels = np.array([level(data, i) for i in data.split.calibration])
    assert list(kept.scores) == ["sse"]
    np.testing.assert_allclose(kept.scores["sse"], 64 * (levels / 127.5) ** 2, rtol=1e-6)
    # Metrics are those of the test set alone, which is the same.
    alone = score(whole)
    np.testing.assert_array_equal(found.test.scores["sse"], alone.test.scores["sse"])
    assert (found.summary, found.localisation) == (alone.summary, alone.localisation)
    assert found.localisation is not None and found.localisation["masked_images"] == 4


def test_a_calibration_image_whose_score_is_not_finite_is_named(root: Path) -> None:
    data = read(root, calibration_fraction=0.5)
    bad = data.split.calibration[1]
    level_of_bad = data.images_at([bad]).max()

    def broken(images: Tensor) -> Tensor:
        return torch.where(images == level_of_bad, torch.nan, images)

    with refuses(file=data.samples[bad].path, remedy="overwrite=true"):
        score(data, broken)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_standardised_by_hand(root: Path, batch_size: int) -> None:
    data = read(root, calibration_fraction=0.5)
    method = Method(black)
    cpu = torch.device("cpu")
    scores = make_scores(["standardised", "sse"])
    found = evaluate(method, data, scores, device=cpu, batch_size=batch_size)
    normal = [level(data, i) for i in data.train_indices(0)]
    # An image of grey level g is wrong by g / 127.5 on each pixel.
    spread = float(np.var(np.array(normal) / 127.5))  # about the mean, of the 4 images
    variance = spread * 1.01 + (2 / 255) ** 2 / 12
    assert scores.variance is not None and scores.variance.shape == (1, SIZE, SIZE)
    np.testing.assert_allclose(scores.variance.numpy(), variance, rtol=1e-6)
    expected = found.test.scores["sse"] / variance
    np.testing.assert_allclose(found.test.scores["standardised"], expected, rtol=1e-6)
    judged = [level(data, i) for i in (*data.split.test, *data.split.calibration)]
    seen = levels_seen(method)  # no abnormal image before it is judged
    assert (sorted(seen[:4]), sorted(seen[4:])) == (sorted(normal), sorted(judged))


def test_the_normal_training_images_are_looked_at_only_if_asked_for(root: Path) -> None:
    data, method = read(root), Method(black)
    evaluate(method, data, make_scores(["sse"]), device=torch.device("cpu"), batch_size=4)
    assert sorted(levels_seen(method)) == sorted(level(data, i) for i in data.split.test)


def test_the_variance_of_another_run_is_not_kept(root: Path) -> None:
    scores = make_scores(["standardised"], variance=torch.full((1, SIZE, SIZE), 1e6))
    data = read(root)
    found = score(data, black, 3, scores)
    variance = error_variance(Method(black), data, device=torch.device("cpu"), batch_size=2)
    assert variance.max() < 1
    sums = score(data).test.scores["sse"]
    np.testing.assert_allclose(
        found.test.scores["standardised"], sums / variance.max().item(), rtol=1e-6
    )


def test_weights_that_are_not_usable_are_told_by_standardised_too(root: Path) -> None:
    # Here the first images that are looked at are training images.
    with refuses(facts="standardised", remedy="overwrite=true"):
        score(read(root), lambda images: images * float("nan"), 16, make_scores(["standardised"]))


def test_standardised_needs_two_normal_training_images(root: Path) -> None:
    for i in range(2, 8):
        (root / "normal" / f"{i}.png").unlink()
    data = read(root)
    assert len(data.train_indices(0)) == 1
    with refuses(
        setting="score",
        value="standardised",
        facts=("at least 2", "even with 1 normal"),
        remedy="add images",
    ):
        score(data, black, 3, make_scores(["standardised"]))


class Embeds:
    """Scores an image by its brightest pixel, and maps its brightness; no reconstruction."""

    def embed(self, images: Tensor) -> EmbeddingResult:
        return EmbeddingResult(images.amax((1, 2, 3)).double(), images[:, 0] + 1)


def test_a_method_without_reconstructions(root: Path) -> None:
    data = read(root)
    cpu = torch.device("cpu")
    found = evaluate(Embeds(), data, make_scores(["embedding"]), device=cpu, batch_size=3)
    levels = np.array([level(data, i) for i in data.split.test])
    assert list(found.test.scores) == list(found.summary) == ["embedding"]
    np.testing.assert_allclose(found.test.scores["embedding"] + 1, levels / 127.5, rtol=1e-6)
    # Its map rises with the level as the squared difference from black does.
    assert found.localisation == score(data).localisation
