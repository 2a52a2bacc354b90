"""Features of images kept on disk: computed once, by what made them, and never wrong."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from scored import make_scores
from torch import Tensor

from cyclegan_ad.pretrained.feature_cache import FeatureCache
from cyclegan_ad.pretrained.features import FeatureExtractor, Features, build_extractor


class Pixels(FeatureExtractor):
    """The pixels themselves are the features; counts the images it sees."""

    name = "inception"
    weights_sha256 = "0" * 64

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def _extract(self, images: Tensor) -> Features:
        self.seen += len(images)
        return Features(images.flatten(1), images)


class Halves:
    def reconstruct(self, images: Tensor) -> Tensor:
        return images / 2


def images(n: int, size: int = 4) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_each_image_is_computed_once(tmp_path: Path) -> None:
    extractor, x = Pixels(), images(5)
    first = FeatureCache(extractor, tmp_path).pooled(x[:3])
    assert torch.equal(first, x[:3].flatten(1)) and extractor.seen == 3
    # Another run, other batches, another order: two new images.
    again = FeatureCache(extractor, tmp_path).pooled(x[[4, 2, 0, 3]])
    assert torch.equal(again, x[[4, 2, 0, 3]].flatten(1)) and extractor.seen == 5
    assert FeatureCache(extractor, tmp_path).pooled(x).dtype == torch.float32
    assert extractor.seen == 5
    assert len(files(tmp_path)) == 5
    assert {path.stat().st_size for path in files(tmp_path)} == {32 + 4 * 48}  # bounded an image
    assert FeatureCache(extractor, tmp_path).pooled(x[:0]).shape == (0, 48)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("name", "other"), ("weights_sha256", "1" * 64), ("precision", "bf16")],
)
def test_what_another_extractor_says_is_not_taken(
    tmp_path: Path, attribute: str, value: str
) -> None:
    one, other, x = Pixels(), Pixels(), images(2)
    setattr(other, attribute, value)
    FeatureCache(one, tmp_path).pooled(x)
    FeatureCache(other, tmp_path).pooled(x)
    assert (one.seen, other.seen) == (2, 2)


def test_pixels_and_size_tell_images_apart(tmp_path: Path) -> None:
    extractor, x = Pixels(), images(1)
    cache = FeatureCache(extractor, tmp_path)
    cache.pooled(x)
    nearly = x.clone()
    nearly[0, 2, 3, 3] += 1e-6
    assert torch.equal(cache.pooled(nearly), nearly.flatten(1))
    cache.pooled(x.reshape(1, 3, 2, 8))  # the same bytes
    cache.pooled(x.double())
    assert extractor.seen == 4
    cache.pooled(x.contiguous(memory_format=torch.channels_last))  # the same image
    assert extractor.seen == 4


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "folder"])
def test_damaged_files_are_computed_again(tmp_path: Path, damage: str) -> None:
    extractor, x = Pixels(), images(2)
    FeatureCache(extractor, tmp_path).pooled(x)
    victim, _ = files(tmp_path)
    whole = victim.read_bytes()
    match damage:
        case "empty":
            victim.write_bytes(b"")
        case "cut":
            victim.write_bytes(whole[:-4])
        case "flipped":
            victim.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        case _:
            victim.unlink()
            victim.mkdir()
    assert torch.equal(FeatureCache(extractor, tmp_path).pooled(x), x.flatten(1))
    assert extractor.seen == 3
    if damage != "folder":
        assert victim.read_bytes() == whole


def test_features_that_are_not_finite_are_not_kept(tmp_path: Path) -> None:
    x = images(2)
    x[1, 0, 0, 0] = torch.nan
    found = FeatureCache(Pixels(), tmp_path).pooled(x)
    assert torch.isfinite(found).all(dim=1).tolist() == [True, False]
    assert len(files(tmp_path)) == 1


def test_a_folder_that_cannot_be_written_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    extractor, x = Pixels(), images(3)
    cache = FeatureCache(extractor, place / "features")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert torch.equal(cache.pooled(x), x.flatten(1))
    [record] = caplog.records
    assert "cache_dir=PATH" in record.getMessage() and "\n" not in record.getMessage()


def test_several_jobs_share_a_folder(tmp_path: Path) -> None:
    x = images(40)

    def job(seed: int) -> bool:
        order = torch.randperm(40, generator=torch.Generator().manual_seed(seed))
        cache = FeatureCache(Pixels(), tmp_path)
        return all(torch.equal(cache.pooled(x[o]), x[o].flatten(1)) for o in order.split(7))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(job, range(8)))
    assert len(files(tmp_path)) == 40  # and no temporary file


@pytest.mark.parametrize("tta", ["none", "dihedral"])
def test_scores_are_those_without_a_cache(tmp_path: Path, tta: str) -> None:
    x = images(4)
    plain = make_scores(["sse", "fid"], Pixels(), tta=tta)(Halves(), x)[0]
    views = 1 if tta == "none" else 8
    for inputs in (4 * views, 0):  # the second time all are known
        extractor = Pixels()
        cache = FeatureCache(extractor, tmp_path)
        scores = make_scores(["sse", "fid"], extractor, tta=tta, feature_cache=cache)
        found = scores(Halves(), x)[0]
        assert all(torch.equal(found[column], plain[column]) for column in plain)
        assert extractor.seen == inputs + 4 * views


def test_spatial_maps_are_not_kept(tmp_path: Path) -> None:
    extractor, x = Pixels(), images(2)
    cache = FeatureCache(extractor, tmp_path / "features")
    make_scores(["fid", "fid_spatial"], extractor, feature_cache=cache)(Halves(), x)
    assert extractor.seen == 4  # each image and reconstruction once, for both scores
    assert not (tmp_path / "features").exists()


def test_real_features_are_those_that_would_be_computed(tmp_path: Path, torch_home: Path) -> None:
    extractor, x = build_extractor("inception"), images(3, 16)
    assert len(extractor.weights_sha256) == 64
    expected = extractor(x).pooled
    cache = FeatureCache(extractor, tmp_path)
    for _ in range(2):
        parts = torch.cat([cache.pooled(x[:1]), cache.pooled(x[1:])])
        torch.testing.assert_close(parts, expected, rtol=1e-4, atol=1e-5)
    [made_by] = os.listdir(tmp_path)
    assert made_by == f"inception-float32-cpu-v2-{extractor.weights_sha256[:16]}"
