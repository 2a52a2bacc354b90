import hashlib
import json
import os
import threading
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from errors import refuses
from PIL import Image

from cyclegan_ad.data import cache, decoded_files, images
from cyclegan_ad.data.cache import load_images
from cyclegan_ad.data.formats.image_bytes import UnreadableImage
from cyclegan_ad.data.images import decode_image


@pytest.fixture
def paths(tmp_path):
    """30 images of different sizes, two of them damaged (numbers 7 and 29), one missing (12)."""
    rng = np.random.default_rng(0)
    files = [tmp_path / "images" / f"{index:02}.png" for index in range(30)]
    files[0].parent.mkdir()
    for index, file in enumerate(files):
        pixels = rng.integers(0, 256, (10 + index, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    files[7].write_bytes(b"")
    files[29].write_bytes(files[28].read_bytes()[:200])
    files[12].unlink()
    return files


@pytest.fixture
def decodes(monkeypatch):
    """Records every decode."""
    calls = []
    decode = images.opening.open_image

    def record(*args, **options):
        calls.append(1)
        return decode(*args, **options)

    monkeypatch.setattr(images.opening, "open_image", record)
    return calls


def load(paths, tmp_path, **changes):
    settings = {
        "size_px": 16,
        "channels": 3,
        "window": None,
        "storage": "disk",
        "memory_limit_mib": 1024,
        "cache_dir": tmp_path / "cache",
    }
    return load_images(paths, **{**settings, **changes})


@pytest.mark.parametrize("storage", ["memory", "disk"])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_hashes_and_unreadable_files_in_order(paths, tmp_path, storage, channels):
    loaded = load(paths, tmp_path, storage=storage, channels=channels)
    assert loaded.images.shape == (30, 16, 16, channels)
    assert loaded.images.dtype == np.uint8
    assert isinstance(loaded.images, np.memmap) == (storage == "disk")
    assert loaded.unreadable[7] == "empty file"
    assert loaded.unreadable[12] == "cannot be read (No such file or directory)"
    assert "damaged" in loaded.unreadable[29]
    assert list(loaded.unreadable) == [7, 12, 29]
    for index, path in enumerate(paths):
        if index in loaded.unreadable:
            assert loaded.images[index].max() == 0
        else:
            np.testing.assert_array_equal(
                loaded.images[index], decode_image(path.read_bytes(), 16, channels)
            )
        contents = path.read_bytes() if path.exists() else None
        expected = "" if contents is None else hashlib.sha256(contents).hexdigest()
        assert loaded.sha256[index] == expected


@pytest.mark.parametrize("storage", ["memory", "disk", "auto"])
def test_a_window_has_images_of_its_own(tmp_path, decodes, storage, monkeypatch):
    monkeypatch.setattr(cache, "_WORTH_KEEPING_BYTES", 1)
    deep, grey = tmp_path / "deep.png", tmp_path / "grey.png"
    Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) * 16).save(deep)
    Image.new("L", (16, 16), 100).save(grey)
    for _ in range(2):
        for window in (None, (0, 4095), (0, 2000)):
            loaded = load([deep, grey], tmp_path, storage=storage, window=window)
            np.testing.assert_array_equal(
                loaded.images[0], decode_image(deep.read_bytes(), 16, 3, window)
            )
            assert loaded.spans == {0: (0, 4080, 16)}
            assert [*loaded.unreadable] == ([] if window is None else [1])
    by_this_test = 6
    # Unreadable ones are tried again; the others are decoded once for each window.
    assert len(decodes) - by_this_test == (12 if storage == "memory" else 6 + 2)


def test_second_load_from_disk_decodes_nothing_again(paths, tmp_path, decodes):
    first = load(paths, tmp_path)
    assert len(decodes) == 29  # the missing one has nothing to decode
    decodes.clear()
    second = load(paths, tmp_path)
    assert len(decodes) == 2  # only the unreadable ones are tried again
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.sha256, first.unreadable) == (second.sha256, second.unreadable)
    assert sorted(file.suffix for file in (tmp_path / "cache").iterdir()) == [".json", ".npy"]


def test_changes_that_need_another_cache(paths, tmp_path, decodes):
    def decoded(files, **changes):
        decodes.clear()
        load(files, tmp_path, **changes)
        return len(decodes)

    good = paths[:5]
    assert decoded(good) == 5
    assert decoded(good) == 0
    assert decoded(good, size_px=8) == 5
    assert decoded(good, channels=1) == 5
    assert decoded(good[::-1]) == 5
    os.utime(good[2], ns=(2, 2))
    assert decoded(good) == 0  # the contents are the same


def test_other_contents_of_the_same_size_and_time_are_decoded(tmp_path, decodes):
    files = [tmp_path / f"{i}.bmp" for i in range(4)]
    for i, file in enumerate(files):
        Image.new("RGB", (16, 16), (i, 0, 0)).save(file)
        os.utime(file, ns=(1, 1))
    load(files, tmp_path)
    decodes.clear()
    files[0].rename(tmp_path / "kept")
    files[1].rename(files[0])
    (tmp_path / "kept").rename(files[1])
    again = load(files, tmp_path)
    assert len(decodes) == 2
    assert again.images[:, 0, 0, 0].tolist() == [1, 0, 2, 3]
    assert again.sha256 == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    decodes.clear()
    np.testing.assert_array_equal(load(files, tmp_path).images, again.images)
    assert not decodes


def test_changed_pixels_in_the_cache_are_decoded_again(paths, tmp_path, decodes):
    expected = np.array(load(paths, tmp_path).images)
    (pixel_file,) = (tmp_path / "cache").glob("*.npy")
    content = bytearray(pixel_file.read_bytes())
    content[-10 * 16 * 16 * 3] ^= 1  # of the tenth image from the end
    pixel_file.write_bytes(content)
    decodes.clear()
    np.testing.assert_array_equal(load(paths, tmp_path).images, expected)
    assert len(decodes) == 1 + 2  # and the unreadable ones


def test_a_file_that_became_readable_is_read(paths, tmp_path, monkeypatch):
    good = paths[:4]
    decode_file = decoded_files.decode_file

    def refuse(path, *args):
        if path == good[1]:
            return decoded_files.Decoded("", None, "cannot be read (Permission denied)")
        return decode_file(path, *args)

    with monkeypatch.context() as patch:
        patch.setattr(decoded_files, "decode_file", refuse)
        assert list(load(good, tmp_path).unreadable) == [1]
        assert list(load(good, tmp_path).unreadable) == [1]
    mended = load(good, tmp_path)
    assert mended.unreadable == {}
    np.testing.assert_array_equal(mended.images[1], decode_image(good[1].read_bytes(), 16, 3))


def test_an_image_that_another_installation_can_decode_is_read(paths, tmp_path, monkeypatch):
    good = paths[:4]

    def refuse(*args, **options):
        raise UnreadableImage("LZW needs the package imagecodecs")

    with monkeypatch.context() as patch:
        patch.setattr(images.opening, "open_image", refuse)
        assert len(load(good, tmp_path).unreadable) == 4
    assert load(good, tmp_path).unreadable == {}


def test_a_changed_byte_of_the_cache_changes_nothing(paths, tmp_path):
    good = [*paths[:3], paths[7]]
    expected = load(good, tmp_path)
    pixels = np.array(expected.images)
    files = list((tmp_path / "cache").iterdir())
    before = {file: file.read_bytes() for file in files}
    for file, content in before.items():
        brackets = [at for at in range(128) if content[at] in b"(){}"]
        for at in [*brackets, *range(0, len(content), len(content) // 5)]:
            for other in before:
                other.write_bytes(before[other])
            file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            again = load(good, tmp_path)
            np.testing.assert_array_equal(again.images, pixels)
            assert (again.sha256, again.unreadable) == (expected.sha256, expected.unreadable)


def test_no_image_is_black_because_the_index_forgot_that_it_is_unreadable(paths, tmp_path):
    loaded = load(paths, tmp_path)
    (index_file,) = (tmp_path / "cache").glob("*.json")
    index = json.loads(index_file.read_text())
    for unreadable in ({}, {"7": "empty file", "99": "empty file"}):
        index_file.write_text(json.dumps(index | {"unreadable": unreadable}))
        assert load(paths, tmp_path).unreadable == loaded.unreadable


@pytest.mark.parametrize(
    "damage", ["truncated", "no index", "bad index", "short index", "[]", "null", "{}", "7", "deep"]
)
def test_a_damaged_cache_is_made_again(paths, tmp_path, damage):
    good = paths[:4]
    expected = np.array(load(good, tmp_path).images)
    (pixel_file,) = (tmp_path / "cache").glob("*.npy")
    (index_file,) = (tmp_path / "cache").glob("*.json")
    if damage == "truncated":
        pixel_file.write_bytes(pixel_file.read_bytes()[:-10])
    elif damage == "no index":
        index_file.unlink()
    elif damage == "bad index":
        index_file.write_text("{")
    elif damage == "short index":
        index = {"sha256": ["x"], "unreadable": {}, "pixels": ["x"]}
        index_file.write_text(json.dumps(index))
    else:
        index_file.write_text("[" * 9999 if damage == "deep" else damage)
    again = load(good, tmp_path)
    np.testing.assert_array_equal(again.images, expected)
    assert len(again.sha256) == 4
    assert len(again.sha256[0]) == 64


def test_an_interrupted_write_leaves_nothing_that_counts(paths, tmp_path):
    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(paths[:6], tmp_path, progress=interrupt)
    assert list((tmp_path / "cache").iterdir()) == []
    assert load(paths[:6], tmp_path).images.shape[0] == 6


def test_temporary_files_of_killed_writers_are_removed_and_live_ones_left(paths, tmp_path):
    (tmp_path / "cache").mkdir()
    old, live, alien = (
        tmp_path / "cache" / name
        for name in (".images-a.npy.x1y2z3", ".images-b.json.a_b8c9", "images-c.npy")
    )
    for file in (old, live, alien):
        file.touch()
    for file in (old, alien):
        os.utime(file, (1, 1))
    load(paths[:2], tmp_path)
    assert not old.exists()
    assert live.exists()
    assert alien.exists()


def test_two_writers_of_the_same_cache(paths, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load, paths, tmp_path) for _ in range(8)]
    expected = load(paths, tmp_path, storage="memory")
    for loaded in (future.result() for future in loads):
        np.testing.assert_array_equal(loaded.images, expected.images)
        assert (loaded.sha256, loaded.unreadable) == (expected.sha256, expected.unreadable)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_auto_chooses_disk_above_the_limit(paths, tmp_path):
    limit_mib = 4 * 16 * 16 * 3 / 2**20  # exactly four images
    four = load(paths[:4], tmp_path, storage="auto", memory_limit_mib=limit_mib)
    assert not isinstance(four.images, np.memmap)
    assert not (tmp_path / "cache").exists()
    five = load(paths[:5], tmp_path, storage="auto", memory_limit_mib=limit_mib)
    assert isinstance(five.images, np.memmap)


@pytest.fixture
def large(monkeypatch):
    """Files of any size count as large enough to be kept decoded."""
    monkeypatch.setattr(cache, "_WORTH_KEEPING_BYTES", 1)


def test_auto_keeps_a_copy_of_large_files(paths, tmp_path, decodes, large):
    first = load(paths, tmp_path, storage="auto")
    assert len(decodes) == 29
    decodes.clear()
    second = load(paths, tmp_path, storage="auto")
    assert len(decodes) == 2  # only the unreadable ones are tried again
    expected = load(paths, tmp_path, storage="memory")
    for loaded in (first, second):
        assert not isinstance(loaded.images, np.memmap)
        np.testing.assert_array_equal(loaded.images, expected.images)
        assert (loaded.sha256, loaded.unreadable) == (expected.sha256, expected.unreadable)
    first.images[0] = 7  # in memory: the file stays as it is
    np.testing.assert_array_equal(load(paths, tmp_path).images, expected.images)


def test_small_files_and_memory_leave_the_disk_alone(paths, tmp_path, monkeypatch):
    good = paths[:5]
    total = sum(path.stat().st_size for path in good)
    monkeypatch.setattr(cache, "_WORTH_KEEPING_BYTES", total + 1)
    load(good, tmp_path, storage="auto")
    monkeypatch.setattr(cache, "_WORTH_KEEPING_BYTES", total)
    load(good, tmp_path, storage="memory")
    assert not (tmp_path / "cache").exists()
    load(good, tmp_path, storage="auto")
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_copy_that_cannot_be_written_is_said_and_not_needed(paths, tmp_path, capsys, large):
    (tmp_path / "file").touch()
    loaded = load(paths, tmp_path, storage="auto", cache_dir=tmp_path / "file" / "cache")
    said = capsys.readouterr().out
    assert said.startswith("note: decoded images were not stored")
    assert f"cache_dir={tmp_path / 'file' / 'cache'}: " in said
    assert "dataset.storage=memory" in said and said.count("\n") == 1
    np.testing.assert_array_equal(loaded.images, load(paths, tmp_path, storage="memory").images)


def test_batches_of_a_memory_map_are_ordinary_arrays(paths, tmp_path):
    images = load(paths[:5], tmp_path).images
    batch = images[[3, 1]]
    assert batch.flags.writeable
    np.testing.assert_array_equal(batch[0], images[3])
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


@pytest.mark.parametrize("storage", ["memory", "disk"])
def test_progress_is_reported_after_each_file_in_the_calling_thread(paths, tmp_path, storage):
    reports = []
    load(
        paths,
        tmp_path,
        storage=storage,
        progress=lambda done, total: reports.append((done, total, threading.get_ident())),
    )
    assert reports == [(done, 30, threading.get_ident()) for done in range(1, 31)]


def test_only_a_few_files_are_in_flight(tmp_path, monkeypatch):
    started = 0
    most_ahead = 0
    lock = threading.Lock()

    def decode_file(path, size_px, channels, window):
        nonlocal started
        with lock:
            started += 1
        return decoded_files.Decoded("0" * 64, np.zeros((size_px, size_px, channels), np.uint8))

    def watch(done, total):
        nonlocal most_ahead
        with lock:
            most_ahead = max(most_ahead, started - done)

    monkeypatch.setattr(decoded_files, "decode_file", decode_file)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    files = [tmp_path / f"{index}.png" for index in range(500)]
    load(files, tmp_path, size_px=4, progress=watch)
    assert started == 500
    assert most_ahead <= 8


def test_no_files(tmp_path):
    loaded = load([], tmp_path)
    assert loaded.images.shape == (0, 16, 16, 3)
    assert (loaded.sha256, loaded.unreadable) == ([], {})


def test_a_cache_folder_that_cannot_be_made(paths, tmp_path):
    (tmp_path / "file").touch()
    with refuses(file="file/cache", remedy=("cache_dir=PATH", "dataset.storage=memory")):
        load(paths[:2], tmp_path, cache_dir=tmp_path / "file" / "cache")


def test_a_disk_that_fills_up(paths, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage(100))
    with refuses(file=tmp_path / "cache", facts="0.0 MiB", remedy="cache_dir=PATH"):
        load(paths[:2], tmp_path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.undo()
    monkeypatch.setattr(cache.os, "fsync", full)
    with refuses(facts="No space left on device"):
        load(paths[:2], tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []
