"""The page: what it says, and what a browser makes of it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reporting.browser import find_chromium, look_at
from reporting.fake_runs import change_metrics, make_run

from cyclegan_ad.reporting.build import write_report

# Attributes with which a page would load something.
LOADING = ("src", "srcset", "poster", "data", "background", "action", "formaction", "ping")


class Elements(HTMLParser):
    """All elements with their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.words += " " if tag == "br" else ""

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every section, wide tables, and names that must be escaped."""
    root = tmp_path_factory.mktemp("page")
    runs = root / "runs <b>&"
    for dataset in ("screw", "brain_mri"):
        for seed in range(2):
            make_run(
                runs,
                "cyclegan",
                64,
                dataset,
                seed,
                columns=["sse", "fid_efficientnet_lite0", "peak_2px"],
            )
            make_run(runs, "patchcore", 64, dataset, seed, columns=["embedding"], separation=9)
    make_run(runs, "ganomaly", columns=["sse", "fid", "embedding"], odd_names=True)
    make_run(runs, "padim", columns=["embedding"], examples=False)
    make_run(runs, "cyclegan", 64, "screw", 0, "protocol=calibrated", run="cyclegan-64-calibrated")
    change_metrics(make_run(runs, seed=3, place="a <script>alert(1)</script>/seed3"), format=1)
    write_report(runs, root / "out", None)
    return root / "out" / "index.html"


def test_it_loads_nothing_and_runs_nothing(page: Path) -> None:
    elements = Elements(page.read_text("utf-8"))
    for tag, attributes in elements.found:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        assert not any(name.startswith("on") for name in attributes)
        for name in LOADING:
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
        if tag == "link":
            assert (attributes["href"] or "").startswith("data:")
        if tag == "a":  # to a place on the page or a file beside it
            assert re.fullmatch(r"#[\w-]+|\w+\.(csv|md|tex)", attributes["href"] or "")
    text = page.read_text("utf-8")
    assert "default-src 'none'" in text
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_links_lead_somewhere(page: Path) -> None:
    elements = Elements(page.read_text("utf-8"))
    names = {attributes.get("id") for _, attributes in elements.found}
    links = [a["href"] or "" for tag, a in elements.found if tag == "a"]
    assert len(links) > 20
    for link in links:
        assert link[1:] in names if link.startswith("#") else (page.parent / link).is_file()


def test_text_from_outside_is_escaped(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "a &lt;script&gt;alert(1)&lt;/script&gt;/seed3" in text
    assert r"&lt;i&gt;&amp;\udcff" in text
    assert "<i>&" not in text
    assert "runs &lt;b&gt;&amp;" in text


def test_it_says_what_must_be_said(page: Path) -> None:
    words = Elements(page.read_text("utf-8")).words
    for said in (
        "Optimistic: the thresholds of both accuracies were set on the test images",
        "24 normal and 24 abnormal images (paper: 361 and 119), 12 + 12 test images",
        "PatchCore 64 px (Screw): resolution=64 (paper: 256)",
        "sum to every image of it",  # the flagged figures of the paper
        "Distance of embeddings",
        "FID on the features of another network",
        "MEAN, common datasets",
        "this supports a miss rate below",
        "too few pairs for 5 %",
        "The test sets of different seeds overlap",
        "format 1, expected 4",
        "padim-64/screw/seed0, pictures",
        "ZFN accuracy without it",
        "459115cd2c6b",
        "method.lambda_cyc=10",
        "Not in the paper, and not part of any mean",
    ):
        assert said in words, said


def test_pictures_have_words_and_open(page: Path) -> None:
    pictures = [a for tag, a in Elements(page.read_text("utf-8")).found if tag == "img"]
    assert len(pictures) > 100
    assert all(attributes.get("alt") for attributes in pictures)


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize(("width_px", "dark"), [(1280, False), (390, True)])
def test_a_browser_opens_it_in_peace(page: Path, tmp_path: Path, width_px: int, dark: bool) -> None:
    seen = look_at(
        page,
        tmp_path / "profile",
        width_px,
        {
            "width": "document.documentElement.scrollWidth",
            "room": "document.documentElement.clientWidth",
            "broken": "[...document.images].filter(i => !i.naturalWidth).length",
            "pictures": "document.images.length",
            "wide": "document.querySelector('.wide').scrollWidth",
            "dark": "matchMedia('(prefers-color-scheme: dark)').matches",
            "paper": "getComputedStyle(document.body).backgroundColor",
        },
        screenshot=tmp_path / "page.png",
        dark=dark,
    )
    assert seen.errors == []
    outside = [url for url in seen.requests if not url.startswith("data:")]
    assert outside == [page.as_uri()]
    values = seen.values
    assert values["room"] >= width_px - 20  # but for the scroll bar
    assert values["width"] <= values["room"]
    assert values["wide"] > 390  # Table 2 scrolls inside its frame
    assert values["broken"] == 0
    assert values["pictures"] > 100
    assert values["dark"] is dark
    assert values["paper"] == ("rgb(21, 24, 28)" if dark else "rgb(251, 250, 248)")
    assert (tmp_path / "page.png").stat().st_size > 50_000


@pytest.mark.slow
@pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium on this machine")
def test_the_browser_test_would_notice(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<img src='http://example.invalid/a.png'><div style='width:3000px'>x</div>"
        "<script>console.error('no')</script>"
    )
    seen = look_at(
        bad, tmp_path / "profile", 390, {"width": "document.documentElement.scrollWidth"}
    )
    assert any("example.invalid" in url for url in seen.requests)
    assert any("'no'" in error for error in seen.errors)
    assert seen.values["width"] >= 3000
