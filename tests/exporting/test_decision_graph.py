"""The graph, before it is exported, against what the detector computes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from probes import ARGUMENTS
from small_cyclegan import small_cyclegan

from cyclegan_ad.detector.load import load_detector
from cyclegan_ad.detector.saved import FUSED_PROBE, save_detector, variance_name
from cyclegan_ad.exporting.decision_graph import DecisionGraph
from cyclegan_ad.methods.linear_probe import LinearProbe
from cyclegan_ad.methods.names import FUSED, SIGNALS
from cyclegan_ad.networks.generator import Generator
from cyclegan_ad.networks.inference import portable_tensors
from cyclegan_ad.pretrained.features import build_extractor
from cyclegan_ad.scoring.fusion import Fusion, fused_terms
from cyclegan_ad.scoring.names import ScoreColumn

NETWORK = {"channels": 3, "base_channels": 4, "residual_blocks": 1}
EXTRACTOR = "efficientnet_lite0"


def column_of(name: str, tta: str) -> ScoreColumn:
    return ScoreColumn.of(
        name, extractor=EXTRACTOR, peak_sigma_px=1.5, tta=tta, precision="float32"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("detector")
    columns = [
        column_of(name, tta)
        for name in ("sse", "peak", "standardised", "fid")
        for tta in ("none", "dihedral")
    ]
    thresholds = {"paper": {"value": 1.0, "set_on": "test images"}}
    scores = {
        column.column: {"computed_by": column.as_dict(), "thresholds": thresholds}
        for column in columns
    }
    variance = torch.rand(3, 32, 32, dtype=torch.float64) + 0.1
    save_detector(
        path,
        method="cyclegan",
        network=NETWORK,
        tensors=Generator(**NETWORK).state_dict() | {variance_name("float32"): variance},
        preprocessing={"channels": 3, "window": None, "size_px": 32, "resize": "bicubic"},
        extractors={EXTRACTOR: build_extractor(EXTRACTOR).weights_sha256},
        trained_on={"dataset": "none"},
        trained_files=[],
        map_scale=(0.0, 1.0),
        scores={"protocol": "paper", "score": "sse", "scores": scores},
        reference=reference_of(scores),
    )
    return path


def reference_of(columns: Iterable[str]) -> dict[str, Any]:
    """The statistics of one normal image."""
    return {
        "brightness": [0.5],
        "sharpness": [1.0],
        "scores": {column: [0.5] for column in columns},
    }


def fusion_of(score: str) -> Fusion:
    terms = fused_terms(score)
    return Fusion(
        terms=terms,
        weights=tuple(0.1 + number for number in range(len(terms))),
        centres=tuple(0.5 * number for number in range(len(terms))),
        intercept=0.25,
        strength=0.1,
        normal=2,
        abnormal=2,
        auroc=dict.fromkeys((*terms, "fused"), 0.5),
    )


@pytest.fixture(scope="module")
def folder_of_four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with all four networks, and a probe of random weights beside them."""
    torch.manual_seed(2)
    path = tmp_path_factory.mktemp("four")
    method = small_cyclegan(channels=3)
    network, tensors = method.full_inference_state()
    names = ("sse", *SIGNALS, *FUSED)
    columns = [column_of(name, tta) for name in names for tta in ("none", "dihedral")]
    probe = LinearProbe(**(ARGUMENTS | {"channels": 3}))
    scorer, arguments = probe.model, probe.network | {"input_px": 64}  # less to compute
    weight = torch.randn(scorer.features(torch.zeros(1, 3, 32, 32)).shape[1]) / 100
    scorer.set_probe(weight, centre=0.5, intercept=-0.25)
    of_probe = {FUSED_PROBE + name: one for name, one in portable_tensors(scorer).items()}
    thresholds = {"paper": {"value": 1.0, "set_on": "test images"}}
    save_detector(
        path,
        method="cyclegan",
        network=network,
        tensors=tensors | of_probe,
        fused_probe=arguments,
        preprocessing={"channels": 3, "window": None, "size_px": 32, "resize": "bicubic"},
        extractors={},
        trained_on={"dataset": "none"},
        trained_files=[],
        map_scale=(0.0, 1.0),
        scores={
            "protocol": "paper",
            "score": "sse",
            "scores": {
                one.column: {"computed_by": one.as_dict(), "thresholds": thresholds}
                | ({"fusion": fusion_of(one.name).as_dict()} if one.name in FUSED else {})
                for one in columns
            },
        },
        reference=reference_of([one.column for one in columns]),
    )
    return path


@pytest.mark.parametrize("tta", ["none", "dihedral"])
@pytest.mark.parametrize("name", ["sse", "peak", "standardised", "fid"])
def test_each_score(folder: Path, name: str, tta: str) -> None:
    assert_graph_scores_as_the_detector(folder, name, tta)


@pytest.mark.parametrize("name", ["sse", *SIGNALS, *FUSED])
def test_each_signal(folder_of_four: Path, name: str) -> None:
    assert_graph_scores_as_the_detector(folder_of_four, name, "none")


def test_signals_are_averaged_over_the_symmetries(folder_of_four: Path) -> None:
    for name in ("change_ratio", "peak_abnormal", *FUSED):
        assert_graph_scores_as_the_detector(folder_of_four, name, "dihedral")


def test_the_other_networks_stay_away_from_scores_that_need_one(folder_of_four: Path) -> None:
    counts = []
    for score in ("sse", "critics"):
        detector = load_detector(folder_of_four, score=score, device="cpu")
        graph = DecisionGraph(detector.backend, detector.decision)  # type: ignore[arg-type]
        counts.append(sum(parameter.numel() for parameter in graph.parameters()))
    assert counts[0] < counts[1] / 2


def assert_graph_scores_as_the_detector(folder: Path, name: str, tta: str) -> None:
    column = column_of(name, tta).column
    images = np.random.default_rng(4).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = load_detector(folder, score=column, device="cpu").backend.score(images, column)
    middle = float(expected.scores.mean())
    detector = load_detector(folder, score=column, threshold=middle, device="cpu")
    with torch.inference_mode():
        graph = DecisionGraph(detector.backend, detector.decision)  # type: ignore[arg-type]
        found = graph(torch.from_numpy(images))
    np.testing.assert_allclose(found["score"].numpy(), expected.scores, rtol=1e-5, atol=1e-6)
    assert found["score"].dtype == torch.float64
    assert found["abnormal"].tolist() == (expected.scores >= middle).tolist()
    np.testing.assert_allclose(found["anomaly_map"].numpy(), expected.maps, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["resized"].numpy(), images)
    np.testing.assert_allclose(found["reconstruction"].numpy(), expected.reconstructions, atol=1)


def test_an_image_without_a_score_is_abnormal(folder: Path) -> None:
    detector = load_detector(folder, threshold=1e30, device="cpu")
    graph = DecisionGraph(detector.backend, detector.decision)  # type: ignore[arg-type]
    images = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    with torch.inference_mode():
        assert graph(images)["abnormal"].tolist() == [False, False]
        next(graph.network.parameters()).fill_(float("nan"))
        assert graph(images)["abnormal"].tolist() == [True, True]


def test_the_detector_keeps_its_fast_layers(folder: Path) -> None:
    detector = load_detector(folder, device="cpu")
    layers = [type(layer) for layer in detector.backend.method.modules()]  # type: ignore[attr-defined]
    graph = DecisionGraph(detector.backend, detector.decision)  # type: ignore[arg-type]
    assert [type(layer) for layer in detector.backend.method.modules()] == layers  # type: ignore[attr-defined]
    assert not any("fast_forwards" in type(layer).__module__ for layer in graph.modules())
