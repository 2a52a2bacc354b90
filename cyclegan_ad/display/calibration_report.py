"""What a calibration changed, in words and small tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cyclegan_ad.metrics.bounds import images_needed
from cyclegan_ad.metrics.recalibration import ZONES, escapes_per_million, plan_images
from cyclegan_ad.text import counted, printable

_AIMS = {
    "zero_misses": "a threshold that misses none of the abnormal images",
    "miss_rate": "a threshold that misses at most {} % of abnormal images",
    "false_alarm_rate": "a threshold for {} % false alarms",
}
_WIDTH = 88


def report_calibration(entry: Mapping[str, Any], prevalence: float | None) -> str:
    """Describe a calibration for the person who is responsible for the threshold.

    Args:
        entry: The calibration, as ``detector.json`` has it.
        prevalence: Share of the images to come that are abnormal; None if it is not known.

    Returns:
        Lines of at most 100 characters, except for names of files.
    """
    parts = [
        _change(entry),
        _explain_threshold(entry),
        _explain_bound(entry),
        _explain_escapes(entry),
        _zones(entry, prevalence),
        _plan(entry, prevalence),
    ]
    return "\n\n".join(part for part in parts if part)


def _change(entry: Mapping[str, Any]) -> str:
    images, bounds, misses = entry["images"], entry["bounds"], entry["misses"]
    alarms, cost, passed = entry["false_alarms"], entry["cost"], entry["stored_misses"]
    aim = _AIMS[entry["aim"]["name"]].format(f"{100 * (entry['aim']['rate'] or 0):g}")
    not_counted = [
        text
        for number, text in (
            (images["copies"], counted(images["copies"], "copy", "copies")),
            (images["trained"], f"{images['trained']} used for the training"),
            (images["grouped"], f"{images['grouped']} further of their groups"),
        )
        if number
    ]
    left_out = f"; not counted: {', '.join(not_counted)}" if not_counted else ""
    title = (
        f"Score {entry['score']}: {aim}\n{counted(images['abnormal'], 'abnormal image')} and "
        f"{images['normal']} normal{left_out}"
    )
    rows = [
        ["", "before", "after"],
        ["threshold", f"{entry['before']:.6g}", f"{entry['after']:.6g}"],
        ["chosen by", entry["before_protocol"], "recalibrated"],
        ["misses, at most", _bound(bounds, "before"), _bound(bounds, "after")],
    ]
    for name, counts, of in (
        ("missed of the images given", misses, images["abnormal"]),
        ("missed of the stored scores", passed, passed["stored_abnormal"]),
        ("false alarms, images given", alarms, images["normal"]),
        ("false alarms, stored scores", cost, cost["stored_normal"]),
    ):
        if of:
            rows.append([name, *(_share(counts[when], of) for when in ("before", "after"))])
    return f"{title}\n{_table(rows)}"


def _explain_threshold(entry: Mapping[str, Any]) -> str:
    limited = entry["limited_by"]
    if limited == "present":
        bounds = entry["bounds"]
        needed = (
            bounds["before_images"]
            if bounds["before"] is None
            else images_needed(bounds["before"], bounds["before_confidence"])
        )
        return _wrap(
            "The threshold was not raised: for what the present one is based on, "
            f"{needed} abnormal images are needed. To raise it all the same: "
            "allow_weaker_bound=true"
        )
    if limited == "escape":
        return _wrap("The threshold is the lowest score of a reported escape.")
    return printable(f"The threshold was set by the image {entry['set_by']}.")


def _explain_bound(entry: Mapping[str, Any]) -> str:
    bounds = entry["bounds"]
    confident = f"With {100 * bounds['after_confidence']:g} % confidence"
    lines = []
    if entry["aim"]["name"] == "false_alarm_rate":
        lines.append(
            "The threshold was chosen for false alarms, so that misses are not bounded by choice."
        )
    if bounds["after"] is None and not entry["images"]["abnormal"]:
        lines.append("Misses are not bounded at all: no abnormal image was given.")
    elif bounds["after"] is None:
        lines.append("No bound on the misses of this threshold is proved.")
    else:
        expected = bounds["expected"]
        lines.append(
            f"{confident}, at most {_percent(bounds['after'])} of abnormal images like those it "
            "was set on are missed"
            + ("." if expected is None else f"; {_percent(expected)} are expected.")
        )
    if bounds["false_alarms"] is not None:
        of = {"given": "those given", "stored": "those of the stored scores, as fewer were given,"}
        lines.append(
            f"{confident}, at most {_percent(bounds['false_alarms'])} of normal images like "
            f"{of[bounds['false_alarms_of']]} raise a false alarm."
        )
    lines.append(
        "This holds for images that were taken as they come, not for ones that were picked because "
        "a decision about them was wrong, and for no new kind of defect, camera or light."
    )
    return _wrap(" ".join(lines))


def _explain_escapes(entry: Mapping[str, Any]) -> str:
    escapes, cost = entry["escapes"], entry["cost"]
    if not escapes:
        return ""
    lowest = min(escape["score"] for escape in escapes)
    one = len(escapes) == 1
    text = (
        f"{counted(len(escapes), 'escape')}: {'an abnormal image' if one else 'abnormal images'} "
        f"that passed until now. No later threshold of score {entry['score']} goes above "
        f"{lowest:.6g}, and {'this file never passes' if one else 'these files never pass'} again."
    )
    if of := cost["stored_normal"]:
        more = cost["after"] - cost["before"]
        text += (
            f" Cost: {counted(more, 'more false alarm')} among the {of} stored scores of normal "
            f"images, {_percent(cost['before'] / of)} -> {_percent(cost['after'] / of)}."
        )
    return _wrap(text)


def _zones(entry: Mapping[str, Any], prevalence: float | None) -> str:
    zones, lower, upper = entry["zones"], f"{entry['after']:.6g}", entry["upper"]
    spans = {"pass": f"below {lower}", "reject": f"{lower} and above"}
    if upper is not None:
        spans |= {"review": f"{lower} to {upper:.6g}", "reject": f"{upper:.6g} and above"}
    columns = {
        "abnormal given": zones["abnormal"],
        "normal given": zones["normal"],
        "normal stored": zones["stored_normal"],
    }
    columns = {name: counts for name, counts in columns.items() if sum(counts.values())}
    rows = [["zone", "score", *columns]]
    for zone in ZONES:
        if zone in spans:
            shares = [_share(counts[zone], sum(counts.values())) for counts in columns.values()]
            rows.append([zone, spans[zone], *shares])
    text = _table(rows)
    if upper is None and entry["reject_normal"] is not None:
        text += (
            "\nThere is no zone review: from the threshold on, no more than reject_normal="
            f"{entry['reject_normal']:g} of the normal images are rejected."
        )
    given, stored = (sum(zones[name].values()) for name in ("normal", "stored_normal"))
    normal = zones["normal" if given >= stored else "stored_normal"]
    if prevalence is not None and sum(normal.values()) and sum(zones["abnormal"].values()):
        each = ((prevalence, zones["abnormal"]), (1 - prevalence, normal))
        workload = {
            zone: sum(weight * counts[zone] / sum(counts.values()) for weight, counts in each)
            for zone in spans
        }
        words = ", ".join(f"{zone} {_percent(workload[zone])}" for zone in ZONES if zone in spans)
        of = f"{given} given" if given >= stored else f"{stored} stored scores"
        text += f"\nWorkload with {_percent(prevalence)} abnormal images: {words}"
        text += f" (normal images: {of})"
    return text


def _plan(entry: Mapping[str, Any], prevalence: float | None) -> str:
    bounds, confidence = entry["bounds"], entry["confidence"]
    head = ["to bound misses by", "abnormal images", "still needed"]
    if prevalence is not None:
        head.append("escapes per million images, at most")
    rows = [head]
    for plan in plan_images(entry["images"]["abnormal"], confidence):
        cells = [_percent(plan["bound"]), f"{plan['needed']:.0f}", f"{plan['missing']:.0f}"]
        if prevalence is not None:
            cells.append(_number(escapes_per_million(plan["bound"], prevalence)))
        rows.append(cells)
    text = (
        f"Images needed, at {100 * confidence:g} % confidence, with none of them missed:\n"
        f"{_table(rows)}"
    )
    if prevalence is None:
        return text + "\nprevalence=SHARE adds the escapes per million images."
    if bounds["after"] is None:
        return text + "\nEscapes of the new threshold: unknown."
    most = _number(escapes_per_million(bounds["after"], prevalence))
    if bounds["expected"] is None:
        return text + f"\nEscapes of the new threshold: at most {most} per million images."
    likely = _number(escapes_per_million(bounds["expected"], prevalence))
    return text + f"\nEscapes of the new threshold: {likely} per million expected, at most {most}."


def _bound(bounds: Mapping[str, Any], when: str) -> str:
    return "not bounded" if bounds[when] is None else _percent(bounds[when])


def _share(count: int, of: int) -> str:
    return f"{count} of {of} ({_percent(count / of)})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g} %"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _wrap(text: str) -> str:
    from textwrap import fill

    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
