"""Figures of the paper's Table 2."""

import pytest

from cyclegan_ad.reference.table2 import PaperFigure, paper_figure, paper_method_name


def test_paper_figures_are_those_of_table_2() -> None:
    assert paper_figure("hazelnut", "cyclegan-64", "fid", "zfn_accuracy") == PaperFigure(
        74.86, 12.89
    )
    assert paper_figure("retina_oct", "ganomaly", "sse", "auroc") == PaperFigure(86.86, 1.47)
    assert paper_figure("hazelnut", "patchcore", "sse", "auroc") is None
    assert paper_figure("demo", "cyclegan-64", "sse", "auroc") is None
    # Another training than the paper's, which never stands beside its figures.
    for resolution in (64, 256):
        name = paper_method_name("cyclegan_plus", resolution)
        assert paper_figure("screw", name, "sse", "auroc") is None
    assert paper_figure("hazelnut", "cyclegan-64", "fid_efficientnet_lite0", "auroc") is None


def test_every_dataset_of_the_paper_has_its_cyclegan_figures() -> None:
    industrial = ("hazelnut", "screw", "tile", "wood")
    medical = ("brain_mri", "breast_ultrasound", "retina_oct")
    for dataset in industrial + medical:
        for resolution in (64, 256):
            name = paper_method_name("cyclegan", resolution)
            for score in ("sse", "fid"):
                for metric in ("zfn_accuracy", "max_accuracy", "auroc"):
                    assert paper_figure(dataset, name, score, metric) is not None


@pytest.mark.parametrize(
    ("method", "flagged"),
    [("patchcore", True), ("padim", True), ("ganomaly", False), ("cyclegan", False)],
)
def test_columns_that_say_nothing_are_flagged(method: str, flagged: bool) -> None:
    figure = paper_figure("screw", paper_method_name(method, 64), "sse", "zfn_accuracy")
    assert figure is not None
    assert figure.artefact is flagged


def test_the_embedding_of_padim_and_patchcore_stands_beside_the_papers_sse() -> None:
    artefact = PaperFigure(54.29, 0.0, artefact=True)
    assert paper_figure("hazelnut", "patchcore", "embedding", "zfn_accuracy") == artefact
    for method in ("padim", "patchcore"):
        for metric in ("zfn_accuracy", "max_accuracy"):
            figure = paper_figure("tile", method, "embedding", metric)
            assert figure is not None and figure.artefact
            assert figure == paper_figure("tile", method, "sse", metric)
        assert paper_figure("tile", method, "embedding_tta", "zfn_accuracy") is None
    # GANomaly's latent distance is not what the paper scored it by.
    assert paper_figure("tile", "ganomaly", "embedding", "zfn_accuracy") is None
    assert paper_figure("tile", "cyclegan-64", "embedding", "zfn_accuracy") is None


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(ValueError, match="zfn_accuracy"):
        paper_figure("screw", "padim", "sse", "accuracy")
