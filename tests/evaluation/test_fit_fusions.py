"""Fused scores are fitted to images that neither networks nor their own probe have seen."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from errors import refuses
from fused import WORDS, draw_images, fused_settings
from tiny import compose_settings, draw_folder, settings

from cyclegan_ad.build import build_data, load_method
from cyclegan_ad.evaluation import fit_fusions as fitting
from cyclegan_ad.evaluation.fit_fusions import fit_fusions, fit_probe_term
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.methods.probe_fit import decide, fit_probe
from cyclegan_ad.networks.probe import ProbeScorer
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.results import read_scores, read_split
from cyclegan_ad.scoring.fit_fusion import fit_fusion, tuning_folds
from cyclegan_ad.scoring.fusion import SIGNAL_TERMS
from cyclegan_ad.scoring.names import ScoreColumn
from cyclegan_ad.scoring.scores import build_scores
from cyclegan_ad.train import run_training as train

CPU = torch.device("cpu")
TUNING = range(20, 32)
LABELS = [i % 2 for i in range(32)]
STRENGTHS = (0.01,)  # one is quick
PARTS = (3, 1)
# A copy of image 20 is beside it; image 3 should not be among the training images, but is.
GROUPS = [{22: "image20", 3: "image25"}.get(i, f"image{i}") for i in range(32)]


def drawn_data(images: Sequence[int] = TUNING) -> Any:
    """What the fit asks of a data module."""
    return SimpleNamespace(
        split=SimpleNamespace(train=tuple(range(20)), tuning=tuple(images)),
        samples=[SimpleNamespace(label=label, path=f"{i}.png") for i, label in enumerate(LABELS)],
        groups=GROUPS,
        channels=1,
        size_px=32,
        seed=5,
        images_at=lambda batch: torch.tensor(batch)[:, None, None, None],
    )


def drawn_features() -> Any:
    random = np.random.default_rng(2)
    shifts = np.array(LABELS)[:, None, None] * np.array([1.0, 0.5, 0.0, 0.0])
    return (random.normal(size=(32, 8, 4)) + shifts).astype(np.float32)


@pytest.fixture
def probe_term(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives the values of the tuning images for the features of all images."""

    def values(features: Any, tta: Any = "dihedral") -> tuple[Any, Any]:
        monkeypatch.setattr(fitting, "probe_defaults", lambda: (STRENGTHS, 5, 0.05))
        monkeypatch.setattr(LinearProbe, "load_backbone", lambda self: None)
        monkeypatch.setattr(ProbeScorer, "parts", lambda self: PARTS)
        monkeypatch.setattr(
            fitting, "describe_images", lambda scorer, data, chosen, **_: features[list(chosen)]
        )
        scores = build_scores([ScoreColumn("fused", tta=tta)])
        found = fit_probe_term(drawn_data(), scores, device=CPU, batch_size=4)
        return found, scores.probe

    return values


@pytest.mark.parametrize(("tta", "views"), [("dihedral", 8), ("none", 1)])
def test_each_tuning_image_is_judged_by_a_probe_without_its_fold(
    probe_term: Any, tta: str, views: int
) -> None:
    """In the symmetries in which test images are scored."""
    features = drawn_features()
    found, probe = probe_term(features, tta)
    folds = tuning_folds([LABELS[i] for i in TUNING], [GROUPS[i] for i in TUNING], 5)
    labels, groups = np.array(LABELS), np.array(GROUPS)
    for number, image in enumerate(TUNING):
        others = [i for i, fold in zip(TUNING, folds, strict=True) if fold == folds[number]]
        kept = ~np.isin(groups, groups[others])
        assert image not in np.flatnonzero(kept)
        fitted = fit_probe(
            features[kept],
            labels[kept].tolist(),
            groups[kept].tolist(),
            strengths=STRENGTHS,
            folds=5,
            seed=5,
            parts=PARTS,
        )
        seen = features[[image], :views]
        assert found[number] == pytest.approx(decide(fitted, seen)[0], rel=1e-12)
    # The probe that scores test images is fitted to all.
    every = fit_probe(features, LABELS, GROUPS, strengths=STRENGTHS, folds=5, seed=5, parts=PARTS)
    np.testing.assert_allclose(probe.probe.weight.numpy(), every.weight, rtol=1e-5)


@pytest.mark.parametrize(("image", "copy"), [(20, 22), (22, 20), (25, 3)])
def test_no_copy_of_an_image_is_in_the_fit_of_its_value(
    probe_term: Any, image: int, copy: int
) -> None:
    features = drawn_features()
    before = probe_term(features)[0]
    features[copy] += 3.0
    after = probe_term(features)[0]
    number = TUNING.index(image)
    assert after[number] == before[number]
    assert (after != before).any()


def test_a_term_that_is_not_finite_is_told_with_its_images() -> None:
    def terms(method: object, images: torch.Tensor, names: Sequence[str]) -> torch.Tensor:
        found = torch.zeros(len(images), len(names), dtype=torch.float64)
        found[images[:, 0, 0, 0] == 21, names.index("cycle_normal")] = torch.nan
        return found

    scores: Any = SimpleNamespace(
        terms=terms, columns=[ScoreColumn("fused_signals")], names=("fused_signals",), fusions={}
    )
    with refuses(facts=("cycle_normal", "21.png"), remedy="overwrite=true"):
        fit_fusions(None, drawn_data(), scores, device=CPU, batch_size=4)  # type: ignore[arg-type]
    assert scores.fusions == {}


def test_the_fit_of_a_run_is_that_of_its_tuning_images(fused_run: Any) -> None:
    root, run, metrics = fused_run
    job = fused_settings(root.parent)
    data = build_data(job)
    data.setup()
    method = load_method("cyclegan_plus", run.checkpoint, CPU)
    tuning = list(data.split.tuning)
    with torch.inference_mode():
        terms = build_scores([ScoreColumn("fused_signals")]).terms(
            method, data.images_at(tuning), SIGNAL_TERMS
        )
    labels, groups = [data.samples[i].label for i in tuning], [data.groups[i] for i in tuning]
    fitted, outside = fit_fusion(terms.numpy(), labels, groups, SIGNAL_TERMS, seed=0)
    stored = metrics["fusions"]["fused_signals"]
    assert (stored["normal"], stored["abnormal"]) == (2, 2)
    np.testing.assert_allclose(stored["centres"], fitted.centres, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(stored["weights"], fitted.weights, rtol=1e-2, atol=1e-4)

    rows = read_scores(run.path, "tuning.csv")
    assert [row["path"] for row in rows] == [data.samples[i].path for i in tuning]
    assert {row["path"] for row in rows} == {
        row.path for row in read_split(run.path) if row.subset == "tuning"
    }
    np.testing.assert_allclose([r["fused_signals"] for r in rows], outside, rtol=1e-3, atol=1e-6)


def test_too_few_tuning_images_are_told_before_the_training(tmp_path: Path) -> None:
    root = draw_folder(tmp_path / "data", normal=14, abnormal=6)
    job = settings(root, tmp_path / "runs", *WORDS)
    with refuses(
        setting="score",
        value="fused",
        facts=("3 normal and 1 abnormal", "folder"),
        remedy="method.tuning_fraction",
    ):
        train(job)
    assert not RunDirectory.of(job).path.exists()
    # Of two abnormal images, one for the networks and one for tuning, a larger share is none.
    limited = settings(root, tmp_path / "runs", *WORDS, "dataset.max_abnormal=2")
    with refuses(
        setting="score",
        value="fused",
        facts="dataset.max_abnormal=2",
        remedy="larger dataset.max_abnormal",
    ):
        train(limited)


def test_equal_images_are_told_before_the_training(tmp_path: Path) -> None:
    draw_images(tmp_path / "data")
    data = build_data(fused_settings(tmp_path))
    data.setup()
    fitting.check_tuning_images(data, ["fused"])
    data.images_at = lambda indices: torch.zeros(len(indices), 3, 32, 32)  # type: ignore[method-assign]
    with refuses(setting="score", value="fused", facts="same pixels", remedy="score=sse"):
        fitting.check_tuning_images(data, ["fused", "fused_signals"])
    fitting.check_tuning_images(data, ["fused_signals"])  # without a probe


def test_copies_do_not_count_as_tuning_images(tmp_path: Path) -> None:
    root = draw_images(tmp_path / "data")
    tuned = root / "abnormal" / "07.png", root / "abnormal" / "10.png"  # see read_split
    tuned[1].write_bytes(tuned[0].read_bytes())
    job = fused_settings(tmp_path)
    data = build_data(job)
    data.setup()
    labels = [data.samples[i].label for i in data.split.tuning]
    different = {data.groups[i] for i in data.split.tuning if data.samples[i].label == 1}
    if len(different) >= 2:
        pytest.fail("the split keeps other images; name them above")
    assert labels.count(1) == 2
    with refuses(setting="score", value="fused", remedy="method.tuning_fraction"):
        fitting.check_tuning_images(data, ["fused"])


@pytest.mark.parametrize("words", [("score=fused",), ("score.names=[sse,fused_signals]",)])
@pytest.mark.parametrize("method", ["cyclegan_plus", "cyclegan"])
def test_without_images_kept_out_it_is_refused(
    tmp_path: Path, method: str, words: tuple[str, ...]
) -> None:
    fraction = "method.tuning_fraction=0"
    with refuses(
        setting="score.names",
        facts=("fused_signals", fraction),
        remedy=("method.tuning_fraction=0.25", "cyclegan_plus", "score=signals"),
    ):
        settings(tmp_path, tmp_path, f"method={method}", *words, fraction)


def test_the_probe_has_the_defaults_of_its_method() -> None:
    method = compose_settings("train", ["method=linear_probe"])["method"]
    expected = tuple(method["strengths"]), method["folds"], method["peak_fraction"]
    assert fitting.probe_defaults() == expected
