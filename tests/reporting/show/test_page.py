"""The page: what it says, and what a browser makes of it."""

import re
from pathlib import Path

import pytest
from reporting.browser import find_chromium, look_at
from reporting.fake_runs import change_metrics, make_run
from reporting.parsed_page import Page

from cyclegan_ad.reporting.build import write_report

# Attributes with which a page would load something.
LOADING = ("src", "srcset", "poster", "data", "background", "action", "formaction", "ping")


# Tables, pictures and other boxes of the first screens that reach beyond the page, scrolled or not.
BEYOND = """[...document.querySelectorAll('.headline *, #table2 ~ *, .scroll, figure, h2, p')]
  .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .filter(e => !e.closest('thead, .hidden'))
  .filter(e => innerWidth < 600 || e.closest('.headline, .steady'))
  .map(e => e.outerHTML.slice(0, 80))"""
CARDS = """getComputedStyle(document.querySelector('.grid td[data-label]'), '::before').content
  .includes(document.querySelector('.grid td[data-label]').dataset.label)"""


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
            make_run(runs, "patchcore", 256, dataset, seed, columns=["embedding"], separation=9)
    make_run(runs, "ganomaly", 256, columns=["sse", "fid", "embedding"], odd_names=True)
    make_run(runs, "padim", 64, columns=["embedding"], examples=False)
    make_run(runs, "cyclegan", 64, "screw", 0, "protocol=calibrated", run="cyclegan-64-calibrated")
    change_metrics(make_run(runs, seed=3, place="a <script>alert(1)</script>/seed3"), format=1)
    write_report(runs, root / "out", None)
    return root / "out" / "index.html"


def test_it_loads_nothing_and_runs_nothing(page: Path) -> None:
    elements = Page(page)
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
    elements = Page(page)
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
    words = Page(page).words
    for said in (
        "Optimistic: the thresholds of both accuracies were set on the test images",
        "24 normal and 24 abnormal images (paper: 361 and 119), 12 + 12 test images",
        "PaDiM 64 px: resolution=64 (paper: 256)",
        "sum to every image of it",  # the flagged figures of the paper
        "Distance of embeddings",
        "FID on the features of another network",
        "MEAN, common datasets",
        "this supports a miss rate below",
        "too few shared datasets (1 to 2) for any outcome to be significant at 5 %",
        "format 1, expected 5",
        "padim-64/screw/seed0, pictures",
        "ZFN accuracy without it",
        "459115cd2c6b",
        "method.lambda_cyc=10",
        "Not in the paper, and not part of any mean",
    ):
        assert said in words, said


def test_it_begins_with_the_result(page: Path) -> None:
    parsed = Page(page)
    assert list(parsed.sections)[1] == "headline"
    headline = parsed.sections["headline"]
    assert "PatchCore has the highest mean ZFN accuracy on 2 of 2 datasets" in headline.text
    assert "whether this order holds elsewhere is not known" in headline.text
    best = headline.row("Screw")
    assert best[0].text == "Screw PatchCore 256 px"
    shown = {cell.label: cell.text for cell in best[1:]}
    assert shown["ZFN accuracy %"] == "100.00 ± 0.00f"
    assert shown["Paper's CycleGAN %"] == "52.37 ± 3.53"
    # The images of GANomaly have other names, so the two share no split.
    assert (shown["Next method"], shown["Splits ahead"]) == ("GANomaly 256 px", "-")
    shared = {cell.label: cell.text for cell in headline.row("Brain MRI")[1:]}
    assert (shared["Next method"], shared["Splits ahead"]) == ("CycleGAN 64 px", "2 of 2")


def test_table_2_has_the_papers_methods_and_the_others_stand_beside(page: Path) -> None:
    section = Page(page).sections["table2"]
    methods = [row[0].text.split(" px")[0] for row in section.rows if row[0].tag == "th"]
    papers = methods[: methods.index("PaDiM 64")]
    assert set(papers) == {"Method, Score", "CycleGAN 64", "GANomaly 256", "PatchCore 256"}
    assert any(name.startswith("cyclegan-64-calibrated") or "calibrated" in name for name in
               (row[0].text for row in section.rows))  # fmt: skip
    cell = section.row("PatchCore 256 px")[1:3]
    assert [one.text for one in cell] == ["100.00 ± 0.00f", "59.32 ± 0.00†"]
    assert [one.label for one in cell] == ["ZFN accuracy %", "paper"]


def test_pictures_have_words_and_open(page: Path) -> None:
    pictures = [a for tag, a in Page(page).found if tag == "img"]
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
            "beyond": BEYOND,
            "cards": CARDS,
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
    # On a narrow page nothing is wider than the page, and rows are cards with the names of columns.
    assert values["cards"] is (width_px < 600)
    assert values["beyond"] == []
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
