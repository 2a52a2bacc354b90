"""The page in headless Chromium: what a person does with it, by mouse, keyboard and telephone."""

import csv
import io
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from inspected import png, session_of
from PIL import Image

from cyclegan_ad.inspection.server import address_of, build_app, listen, serving
from cyclegan_ad.inspection.session import Session
from cyclegan_ad.runs.directory import RunDirectory

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]

Finished = tuple[Path, RunDirectory, dict[str, Any]]
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]
LIMIT = 300_000


@dataclass
class Opened:
    """A page with what it asked for and complained about."""

    page: Any
    session: Session
    address: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def wait(self, selector: str, words: str) -> None:
        found = self.page.locator(selector)
        playwright.expect(found).to_contain_text(words, timeout=20_000)

    def until(self, expression: str) -> None:
        """Wait until an expression is true; the page itself may evaluate no text."""
        deadline = time.monotonic() + 20
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any, finished: Finished, tmp_path: Path) -> Iterator[Any]:
    session, facts = session_of(finished[1].path, tmp_path, max_upload_bytes=LIMIT)
    app = build_app(session, facts, host="127.0.0.1", max_upload_bytes=LIMIT)

    @contextmanager
    def opening(**context: Any) -> Iterator[Opened]:
        made = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | context))
        seen = Opened(made.new_page(), session, address)
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on(
            "console",
            lambda line: seen.errors.append(line.text) if line.type == "error" else None,
        )
        seen.page.goto(address)
        seen.page.wait_for_selector("html[data-ready]")
        yield seen
        made.close()

    with listen("127.0.0.1", 0) as opened:
        address = address_of(opened, "127.0.0.1")
        opening.facts, opening.session = facts, session  # type: ignore[attr-defined]
        with serving(app, opened):
            yield opening


def file(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def test_an_image_is_opened_and_nothing_leaves_the_page(open_page: Any) -> None:
    with open_page() as seen:
        seen.page.set_input_files("#file-one", [file("<b>ü.png", png(square=True))])
        seen.wait("#facts", "<b>ü.png")
        image = next(i for i in seen.session.images.values() if i.source == "upload")
        assert seen.text("#decision-word").lower() == seen.session.zone(image)
        for name in ("pane-image", "overlay-image", "overlay-heat", "pane-reconstruction"):
            seen.until(f"document.getElementById('{name}').naturalWidth > 0")
        seen.page.locator("#opacity").fill("25")
        faded = "getComputedStyle(document.getElementById('overlay-heat')).opacity"
        assert seen.page.evaluate(faded) == "0.25"
        assert all(url.startswith(seen.address) for url in seen.requests), seen.requests
        assert seen.errors == []


def test_the_heat_map_covers_an_image_of_any_shape(open_page: Any) -> None:
    content = io.BytesIO()
    Image.new("L", (96, 32), 90).save(content, "PNG")
    with open_page() as seen:
        seen.page.set_input_files("#file-one", [file("wide.png", content.getvalue())])
        seen.wait("#facts", "wide.png")
        seen.until("document.getElementById('overlay-heat').naturalWidth > 0")
        ratio = "getComputedStyle(document.getElementById('panes')).getPropertyValue('--ratio')"
        seen.until(f"{ratio} === '3'")
        image, heat = (
            seen.page.locator(name).bounding_box() for name in ("#overlay-image", "#overlay-heat")
        )
        assert image == heat and image["width"] == pytest.approx(3 * image["height"], rel=0.02)


def test_what_is_no_image_is_refused_in_one_sentence(open_page: Any) -> None:
    with open_page() as seen:
        before = seen.text("#facts")
        seen.page.set_input_files("#file-one", [file("notes.png", b"only text")])
        seen.wait("#message", "notes.png was not judged: not a PNG")
        assert seen.page.get_attribute("#message", "role") == "alert"
        seen.page.set_input_files("#file-one", [file("big.png", bytes(LIMIT + 1))])
        seen.wait("#message", "big.png was not judged: it has")
        assert seen.text("#facts") == before


def test_a_method_without_reconstructions_has_two_pictures(open_page: Any) -> None:
    open_page.facts["reconstructs"] = False
    with open_page() as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        seen.page.wait_for_selector("#pane-made", state="hidden")
        seen.page.keyboard.press("ArrowRight")
        seen.until("document.getElementById('overlay-heat').naturalWidth > 0")
        assert not seen.page.is_visible("#pane-made")
        assert not [url for url in seen.requests if "reconstruction" in url]


def test_no_picture_of_the_image_before_stands_beside_another(open_page: Any) -> None:
    made = ("#overlay-heat", "#pane-reconstruction")
    held: list[Any] = []
    answers: dict[str, Callable[[Any], None]] = {
        "at once": lambda route: route.continue_(),
        "later": held.append,
        "an error": lambda route: route.fulfill(status=500),
    }
    answer = "at once"
    with open_page() as seen:
        pattern = re.compile(r"/(heat|reconstruction)\.png$")
        seen.page.route(pattern, lambda route: answers[answer](route))
        # Chromium tells a page that is open of its routes too late for the requests that follow.
        seen.page.reload()
        for selector in made:
            seen.page.wait_for_selector(selector, state="visible")
        answer = "later"
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_selector("#overlay-image", state="visible")
        deadline = time.monotonic() + 20
        while len(held) < 2:
            assert time.monotonic() < deadline, (held, seen.requests, seen.errors)
            seen.page.wait_for_timeout(20)
        for selector in made:
            assert not seen.page.is_visible(selector)
            frame = seen.page.locator(selector).locator("..")
            assert frame.get_attribute("aria-busy") == "true"
        for route in held:
            route.continue_()
        for selector in made:
            seen.page.wait_for_selector(selector, state="visible")
        seen.until("!document.querySelector('.frame[aria-busy]')")
        # An error of one image takes the reconstruction from no other.
        answer = "an error"
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_selector("#pane-made", state="hidden")
        answer = "at once"
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_selector("#pane-reconstruction", state="visible")


def test_the_slider_shows_at_once_what_it_costs(open_page: Any) -> None:
    with open_page() as seen:
        known = seen.page.evaluate("fetch('/api/state').then((a) => a.json())")["known"]
        slider = seen.page.locator("#slider")
        for at in (0, 250, 600, 1000):
            slider.fill(str(at))
            threshold = float(
                seen.page.evaluate("import('/page/model.js').then(m => m.model.lower)")
            )
            missed = sum(score < threshold for score, _ in known["abnormal"])
            alarms = sum(score >= threshold for score, _ in known["normal"])
            assert seen.text("#missed .figure") == f"{missed} of {len(known['abnormal'])}"
            assert seen.text("#alarms .figure") == f"{alarms} of {len(known['normal'])}"
            bound = 100 * known["bounds"]["miss"]["any"][missed]
            shown = re.search(r"at most ([\d.]+) %", seen.text("#missed"))
            assert shown and float(shown[1]) == pytest.approx(bound, rel=0.06)
        assert "picked by looking at the scores" in seen.text("#bound-note")
        # It is only looked at until it is applied.
        assert seen.session.decision.threshold == seen.session.saved.threshold
        seen.page.click("#apply")
        seen.wait("#message", "until the inspector stops")
        assert seen.session.decision.threshold == pytest.approx(threshold, rel=1e-4)
        seen.page.click("#reset")
        seen.wait("#message", "decides again")
        stated = 100 * seen.session.saved.facts["miss_rate_bound"]
        shown = re.search(r"at most ([\d.]+) %", seen.text("#missed"))
        assert shown and float(shown[1]) == pytest.approx(stated, rel=0.06)
        assert seen.session.decision.threshold == seen.session.saved.threshold
        critical = min(known["abnormal"])
        name = seen.session.images[critical[1]].name
        seen.wait("#critical", name)
        seen.page.check("#two")
        assert seen.page.is_visible("#slider-upper")
        seen.page.locator("#slider-upper").fill("1000")
        assert "review" in seen.text("#work")
        seen.page.click("#permanent summary")
        command = seen.text("#calibrate")
        assert command.startswith("python -m cyclegan_ad.calibrate detector=")
        assert "images=LABELLED" in command and "prevalence=0.01" in command


def test_a_threshold_is_shown_with_its_own_confidence(open_page: Any) -> None:
    known, [*_, last] = open_page.facts["known"], open_page.facts["thresholds"]
    last |= {"confidence": 0.8, "miss_bound": 0.03, "alarm_bound": 0.07, "picked": False}
    open_page.facts["thresholds"].remove(last)
    open_page.facts["thresholds"].append(last | {"lower": last["lower"] * 1.5, "name": "new"})
    with open_page() as seen:
        seen.wait("#missed", f"({100 * known['confidence']:g} % sure)")
        seen.page.click("#named button:has-text('new')")
        seen.wait("#missed", "at most 3 % (80 % sure)")
        seen.wait("#alarms", "at most 7 % (80 % sure)")


def test_the_gallery_is_sorted_by_nearness_and_filtered(open_page: Any) -> None:
    with open_page() as seen:
        threshold = seen.session.decision.threshold
        by_name = {image.name: image for image in seen.session.images.values()}
        ids = "[...document.querySelectorAll('.image-card')].map((card) => card.dataset.id)"
        seen.page.wait_for_selector(".image-card")
        shown = seen.page.evaluate(ids)
        distances = [abs(seen.session.images[one].score - threshold) for one in shown]
        assert distances == sorted(distances) and len(shown) == len(by_name)
        seen.page.select_option("#filter", "reject")
        assert {seen.session.zone(seen.session.images[i]) for i in seen.page.evaluate(ids)} <= {
            "reject"
        }


def test_a_wrong_decision_is_flagged_and_undone(open_page: Any) -> None:
    with open_page() as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        seen.page.click("#wrong")
        seen.page.check("#flag-form input[value=normal]")
        seen.page.fill("#flag-note", "only dust")
        seen.page.click("#flag-save")
        seen.wait("#wrong", "Flagged: normal")
        with seen.session.flags.table.open(newline="", encoding="utf-8") as table:
            [row] = csv.DictReader(table)
        assert (row["label"], row["note"]) == ("normal", "only dust")
        seen.page.click("#tab-flags")
        assert "only dust" in seen.text("#flag-rows") and seen.text("#flag-count") == "1"
        assert str(seen.session.flags.table) in seen.text("#calibrate-flags")
        seen.page.set_viewport_size({"width": 390, "height": 844})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
        seen.page.click("#flag-rows button")
        seen.wait("#flag-count", "0")
        assert seen.session.flags.rows() == []


def test_a_flag_is_about_the_image_and_the_decision_that_its_dialog_shows(open_page: Any) -> None:
    with open_page() as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        images = sorted(seen.session.images.values(), key=lambda image: image.score)
        first, other = images[-1], images[0]
        show = "(id) => import('/page/viewer.js').then((viewer) => viewer.show(id))"
        seen.page.evaluate(show, first.id)
        assert seen.session.zone(first) == "reject"
        seen.page.locator("#slider").fill("1000")  # on trial
        seen.page.click("#wrong")
        assert f"{first.name}: Reject by the applied threshold" in seen.text("#flag-about")
        assert seen.page.is_checked("#flag-form input[value=normal]")
        seen.page.evaluate(show, other.id)  # as the end of an upload does
        seen.page.click("#flag-save")
        seen.wait("#message", f"{first.name} is normal")
        [row] = seen.session.flags.rows()
        assert (row["sha256"], row["zone"]) == (first.sha256, "reject")
        # Without an answer the dialog itself asks for one: what is behind it cannot be seen.
        seen.page.click("#message-close")
        seen.page.click("#wrong")
        radios = "document.querySelectorAll('#flag-form input')"
        seen.page.evaluate(f"{radios}.forEach((one) => {{ one.checked = false; }})")
        seen.page.click("#flag-save")
        assert seen.page.is_visible("#flag-dialog") and not seen.page.is_visible("#message")


def test_the_page_goes_on_asking_after_a_lost_connection(
    open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, judge = open_page.session, open_page.session.judge
    monkeypatch.setattr(session, "judge", lambda images: None)
    image = next(iter(session.images.values()))
    image.judged, image.score = False, None
    with open_page() as seen:
        seen.page.route("**/api/now*", lambda route: route.abort())
        seen.wait("#message", "does not answer")
        session.trouble = "Some images could not be judged: out of memory"
        judge([image])
        seen.page.unroute("**/api/now*")
        seen.wait("#message", "out of memory")
        seen.until("!document.querySelector('.image-card.waiting')")
        asked = sum("/api/now" in url for url in seen.requests)
        seen.page.wait_for_timeout(2000)
        assert sum("/api/now" in url for url in seen.requests) == asked  # nothing waits any more


def test_a_batch_with_its_table_to_download(open_page: Any) -> None:
    with open_page() as seen:
        seen.page.click("#tab-batch")
        sent = [file(f"{i}.png", png(seed=i, square=i % 2 == 0)) for i in range(4)]
        sent += [file("notes.txt", b"text"), file("big.png", bytes(LIMIT + 1))]
        seen.page.set_input_files("#file-many", sent)
        seen.wait("#batch-text", "6 images done")
        assert seen.text("#batch-text") == "6 images done"  # and the CSV has all
        assert seen.page.locator("#batch-rows tr").count() == 6
        assert "notes.txt was not judged" in seen.text("#batch-rows")
        with seen.page.expect_download() as waiting:
            seen.page.click("#batch-download")
        assert waiting.value.suggested_filename == "decisions.csv"
        rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text())))
        assert [row["name"] for row in rows] == [one["name"] for one in sent]
        assert rows[-1]["reason"].startswith("it has") and rows[-1]["zone"] == "review"
        shown = seen.page.locator("#batch-rows td:first-child").all_inner_texts()
        assert [word.strip().lower() for word in shown] == [row["zone"] for row in rows]
        seen.page.click("#batch-rows tr:nth-child(2) button")
        seen.wait("#facts", "1.png")
        assert seen.page.is_visible("#view-inspect")
        # The table follows the threshold, but not while it is hidden.
        first = "document.querySelector('#batch-rows tr')"
        seen.page.evaluate(f"() => {{ {first}.id = 'kept'; }}")
        seen.page.locator("#slider").fill("0")
        seen.page.wait_for_timeout(200)
        assert seen.page.evaluate(f"{first}.id") == "kept"
        seen.page.click("#tab-batch")
        assert seen.page.evaluate(f"{first}.id") == ""
        words = seen.page.locator("#batch-rows td:first-child").all_inner_texts()
        assert [word.strip() for word in words] == ["Reject"] * 4 + ["Review"] * 2


def test_everything_is_reached_by_the_keyboard(open_page: Any) -> None:
    with open_page() as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        press = seen.page.keyboard.press
        current = "document.querySelector('.image-card[aria-current]').dataset.id"
        order = seen.page.evaluate(
            "[...document.querySelectorAll('.image-card')].map((card) => card.dataset.id)"
        )
        assert seen.page.evaluate(current) == order[0]
        for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
            press(key)
            seen.until(f"{current} === '{order[at]}'")
        reached = set()
        seen.page.evaluate("document.body.focus()")
        for _ in range(60):
            press("Tab")
            reached.add(
                seen.page.evaluate("document.activeElement.id || document.activeElement.className")
            )
            # Where the focus is can be seen.
            assert seen.page.evaluate("""(() => {
                const style = getComputedStyle(document.activeElement);
                return document.activeElement === document.body || style.outlineStyle !== 'none';
            })()"""), seen.page.evaluate("document.activeElement.outerHTML")
        assert {"tab-inspect", "open-files", "opacity", "wrong", "slider", "step-up"} <= reached
        assert {"prevalence", "filter", "order", "theme", "help-open"} <= reached
        assert any("image-card" in name for name in reached)
        seen.page.focus("#slider")
        before = seen.text("#value")
        press("ArrowRight")
        assert seen.text("#value") != before  # on the slider, arrows move the threshold
        for focus, after in (("#slider", "0"), ("#two", "70"), ("#prevalence", "70")):
            seen.page.focus(focus)
            press("h")
            assert seen.page.input_value("#opacity") == after, focus
        seen.page.focus("#main")
        press("?")
        assert seen.page.is_visible("#help")
        press("Escape")
        assert not seen.page.is_visible("#help")
        press("w")
        assert seen.page.is_visible("#flag-dialog")
        press("Escape")
        press("2")
        assert seen.page.is_visible("#view-batch")
        press("ArrowRight")
        assert seen.page.is_visible("#view-flags")
        assert seen.page.get_attribute("#tab-flags", "aria-selected") == "true"
        seen.page.focus("#main")
        chosen = "import('/page/model.js').then((module) => module.model.chosen)"
        before = seen.page.evaluate(chosen)
        press("ArrowRight")
        press("w")
        assert seen.page.evaluate(chosen) == before  # of an image that is not seen
        assert not seen.page.is_visible("#flag-dialog")


def test_a_detector_that_saw_no_defect(open_page: Any) -> None:
    known = open_page.facts["known"]
    known["abnormal"] = []
    known["bounds"]["miss"] = {"fixed": [], "any": []}
    with open_page() as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        assert seen.text("#missed .figure") == "not known"
        seen.page.locator("#slider").fill("500")
        assert seen.text("#alarms .figure").endswith(f"of {len(known['normal'])}")
        assert "escape" not in seen.text("#work") and seen.text("#critical") == ""
        assert seen.errors == []


def test_a_warning_of_drift_is_shown_until_it_is_answered(open_page: Any) -> None:
    with open_page(viewport={"width": 390, "height": 844}) as seen:
        assert not seen.page.is_visible("#drift")
        seen.session.monitor.warning = "drift: the images that pass are darker; check the light"
        seen.page.set_input_files("#file-one", [file("a.png", png())])
        seen.wait("#drift", "are darker")
        assert seen.page.locator("#drift-text").bounding_box()["width"] > 200  # not squeezed
        seen.page.click("#drift-removed")
        seen.wait("#message", "Drift monitoring restarted")
        assert not seen.page.is_visible("#drift") and seen.session.monitor.warning is None


@pytest.mark.parametrize("width", [390, 768, 1280, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen_in_light_and_dark(open_page: Any, width: int, scheme: str) -> None:
    with open_page(viewport={"width": width, "height": 844}, color_scheme=scheme) as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        for view in ("flags", "batch", "inspect"):
            seen.page.click(f"#tab-{view}")
            size = "[document.documentElement.scrollWidth, innerWidth]"
            found = seen.page.evaluate(size)
            assert found[0] <= found[1], view
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = seen.page.evaluate(ground)
        assert (sum(map(int, re.findall(r"\d+", dark))) < 200) == (scheme == "dark")
        seen.page.click("#theme")
        assert seen.page.evaluate(ground) != dark


# Text whose contrast with the ground behind it is below 4.5 (WCAG 2.1, level AA).
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d');
  const parse = (text) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || node.closest('svg, :disabled')) continue;
    const of = [parse(getComputedStyle(node).color), ground(node)].map(light);
    const ratio = (Math.max(...of) + 0.05) / (Math.min(...of) + 0.05);
    if (ratio < 4.5) low.push(`${node.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(open_page: Any, scheme: str) -> None:
    with open_page(color_scheme=scheme) as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        seen.page.set_input_files("#file-one", [file("notes.png", b"only text")])
        seen.wait("#message", "not judged")
        for view in ("flags", "batch", "inspect"):
            seen.page.click(f"#tab-{view}")
            assert seen.page.evaluate(CONTRAST) == []


def test_names_and_roles_are_there_for_screen_readers(open_page: Any) -> None:
    with open_page() as seen:
        seen.page.wait_for_selector(".image-card[aria-current]")
        nameless = seen.page.evaluate(
            """[...document.querySelectorAll('button, input, select, textarea, a')].filter((node) =>
              !(node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length))
              .map((node) => node.outerHTML)"""
        )
        assert nameless == []
        for role in ("tablist", "main", "banner", "dialog", "status"):
            implied = {"main": "main", "banner": "header", "dialog": "dialog"}.get(role)
            assert seen.page.locator(f"[role={role}]{f', {implied}' if implied else ''}").count()
        label = seen.page.get_attribute("#slider", "aria-valuetext")
        assert "defects missed" in label and "false alarms" in label
        seen.page.check("#two")
        seen.page.locator("#slider-upper").fill("1000")
        label = seen.page.get_attribute("#slider-upper", "aria-valuetext")
        known = open_page.facts["known"]
        assert label.endswith(
            f": 0 of {len(known['abnormal'])} defects and 0 of {len(known['normal'])} normal "
            "images rejected"
        )
