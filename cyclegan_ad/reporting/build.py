"""Build the report: read the runs, write the page and the tables, print Table 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclegan_ad.display.drawing import save_figure
from cyclegan_ad.errors import UserError
from cyclegan_ad.files import write_text
from cyclegan_ad.reporting.compute.ablation import gather_ablation, part_ablation
from cyclegan_ad.reporting.compute.aggregate import Study, build_study, choose_protocol
from cyclegan_ad.reporting.compute.decided import gather_decided
from cyclegan_ad.reporting.compute.few_abnormal import gather_curves, part_limited, shown_curves
from cyclegan_ad.reporting.compute.final import gather_final
from cyclegan_ad.reporting.compute.headline import gather_headline
from cyclegan_ad.reporting.compute.held_out import gather_held_out
from cyclegan_ad.reporting.compute.normal_only import gather_normal_only
from cyclegan_ad.reporting.compute.passed import gather_passed
from cyclegan_ad.reporting.compute.provenance import origins, settings_of_methods
from cyclegan_ad.reporting.compute.significance import compare_methods
from cyclegan_ad.reporting.compute.table2_parts import part_study
from cyclegan_ad.reporting.read.choose_runs import choose_comparable, choose_consistent
from cyclegan_ad.reporting.read.find_runs import collect
from cyclegan_ad.reporting.read.read_run import LeftOut
from cyclegan_ad.reporting.show import (
    ablation_table,
    decided_table,
    few_abnormal_table,
    final_table,
)
from cyclegan_ad.reporting.show.data_uris import figure_uri
from cyclegan_ad.reporting.show.decided_figure import gather_explained
from cyclegan_ad.reporting.show.few_abnormal_figure import few_abnormal_figure
from cyclegan_ad.reporting.show.gallery import gather_pictures
from cyclegan_ad.reporting.show.headline import HEADER as HEADLINE_HEADER
from cyclegan_ad.reporting.show.headline import (
    headline_rows,
    headline_sentences,
    headline_text,
)
from cyclegan_ad.reporting.show.headline_plot import headline_plot
from cyclegan_ad.reporting.show.notes import table2_notes
from cyclegan_ad.reporting.show.page import render_page
from cyclegan_ad.reporting.show.significance_table import significance_text
from cyclegan_ad.reporting.show.table2 import lay_out_beside, lay_out_extensions, lay_out_table2
from cyclegan_ad.reporting.show.terminal_table import (
    print_left_out,
    print_normal_only,
    print_sentences,
    print_study,
)
from cyclegan_ad.reporting.show.text_tables import (
    TextTable,
    extension_text,
    held_out_text,
    normal_only_text,
    passed_text,
    table2_text,
)
from cyclegan_ad.reporting.show.write_tables import Numbers, write_documents, write_numbers
from cyclegan_ad.text import counted, printable

PAGE = "index.html"
_LEFT_OUT_PRINTED = 8
TABLE2_TITLE = "Table 2: Methods and datasets of the paper, its figures beside ours"


def write_report(source: Path, out: Path, protocol: str | None) -> Study:
    """Read the runs below a folder and write the report about them.

    Args:
        source: Folder of the runs.
        out: Folder to write to; files of an earlier report there are replaced.
        protocol: Protocol of the accuracies in Table 2: ``paper``, ``crossfit``, ``calibrated`` or
            ``crossval``. None: the one that all runs were evaluated with, else ``paper``.

    Returns:
        All cells of the tables.

    Raises:
        UserError: If there are no runs to report on, or ``out`` cannot be written.
    """
    found, left_out = collect(source)
    consistent, others = choose_consistent(found)
    left_out += others
    # Runs with a limit of abnormal images, and those of an ablation, are in no mean with others.
    ordinary, ablated = part_ablation(consistent)
    runs, limited = part_limited(ordinary)
    if not consistent:
        print_left_out(left_out)
        raise UserError(
            f"none of the {len(left_out)} run directories below {source} can be used for the "
            "reasons above; evaluate or train them again, or set another folder with runs=PATH"
        )
    comparable = choose_comparable(runs)
    left_out += comparable.left_out
    study = build_study(runs, choose_protocol(runs, protocol), comparable)
    normal_only = gather_normal_only(runs)
    curves, others = gather_curves(runs, limited)
    first = shown_curves(curves)
    left_out += others
    ablation, others = gather_ablation(ablated)
    left_out += others
    if not study.entries and (study.runs or not (normal_only or curves or ablation)):
        raise UserError(
            f"no run below {source} has accuracies for protocol={study.protocol}; evaluate the "
            "runs with it, or leave protocol out"
        )
    left_out += [
        LeftOut(f"{run.shown}, score {column.column}", f"not evaluated with {study.protocol}")
        for run, column in study.without_protocol
    ]
    held_out = gather_held_out(comparable)
    passed = gather_passed(study)
    comparisons, others = compare_methods(study)
    left_out += others
    results, decided = gather_final(study, held_out), gather_decided(runs)
    shown, critical, others = gather_pictures(runs)
    left_out += others

    headline = gather_headline(study, results)
    parts = part_study(study)
    table2 = lay_out_table2(parts.paper)
    notes = table2_notes(table2, parts.paper)
    beside = [
        (name, title, part, lay_out_beside(part))
        for name, title, part in (
            ("table2_other", "Beside Table 2: other methods, names and sizes", parts.other),
            ("table2_own", "Own datasets", parts.own),
        )
    ]
    text_tables = [
        headline_text(headline),
        table2_text(
            "table2",
            "Table 2: Methods and datasets of the paper, its figures beside ours",
            table2,
            notes,
        ),
        *(
            table2_text(name, title, table, table2_notes(table, part) if table.rows else ())
            for name, title, part, table in beside
        ),
        significance_text(comparisons, study),
        final_table.final_text(results),
        final_table.without_copies_text(results),
        final_table.differences_text(results),
        held_out_text(held_out),
        passed_text(passed),
        normal_only_text(normal_only),
        decided_table.decided_text(decided),
        few_abnormal_table.few_abnormal_text(first),
        ablation_table.ablation_text(ablation),
        extension_text(lay_out_extensions(study), study),
    ]
    numbers: dict[str, Numbers] = {
        "headline": (HEADLINE_HEADER, headline_rows(headline)),
        "few_abnormal": (few_abnormal_table.HEADER, few_abnormal_table.few_abnormal_rows(curves)),
        "final": (final_table.HEADER, final_table.final_rows(results)),
        "final_differences": (
            final_table.DIFFERENCES_HEADER,
            final_table.difference_rows(results),
        ),
        "decided": (decided_table.HEADER, decided_table.decided_rows(decided)),
        "ablation": (ablation_table.HEADER, ablation_table.ablation_rows(ablation)),
    }
    sentences = headline_sentences(headline)
    try:
        out.mkdir(parents=True, exist_ok=True)
        files = write_documents(out, text_tables)
        files += write_numbers(
            out, study, held_out, passed, normal_only, comparisons, numbers, left_out
        )
        picture = few_abnormal_figure(first) if first else None
        if picture is not None:
            files.append(save_figure(picture, out / "few_abnormal.png"))
        page = render_page(
            source=printable(str(source)),
            study=study,
            sentences=sentences,
            plot=headline_plot(headline),
            further=0 if headline is None else headline.further,
            contents=_contents({table.name: table for table in text_tables}, left_out),
            held_out=held_out,
            normal_only=normal_only,
            text_tables={table.name: table for table in text_tables},
            shown=shown,
            critical=critical,
            explained=gather_explained(runs),
            few_abnormal=None if picture is None else figure_uri(picture),
            settings=settings_of_methods(consistent),
            origins=origins(consistent),
            left_out=left_out,
            files=sorted(file.name for file in files),
        )
        write_text(out / PAGE, page)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}); set another folder with out=PATH"
        ) from error
    print_sentences(sentences)
    if table2.rows:
        print_study(table2, notes, ())
    for _, title, part, table in beside:
        if table.rows:
            print_study(table, table2_notes(table, part), (), title=title)
    print_left_out(left_out, most=_LEFT_OUT_PRINTED)
    print_normal_only(normal_only)
    print(f"\n{counted(len(consistent), 'run')}: {ascii(str(out / PAGE))[1:-1]}")
    return study


def _contents(
    tables: Mapping[str, TextTable], left_out: Sequence[LeftOut]
) -> list[tuple[str, str]]:
    """List the sections of the page that there are: the name of the place, and a title."""
    found = [
        ("headline", "Result", True),
        ("table2", "Table 2 of the paper", True),
        ("table2-other", "Other methods, names and sizes", tables["table2_other"].rows),
        ("table2-own", "Own datasets", tables["table2_own"].rows),
        ("significance", "Significance", True),
        ("final", "All methods and scores", True),
        ("held-out", "Held-out thresholds", True),
        ("passed", "Normal images passed", True),
        ("normal-only", "Normal images only", tables["normal_only"].rows),
        ("decided", "What decided", tables["decided"].rows),
        ("few-abnormal", "How many defects", tables["few_abnormal"].rows),
        ("ablation", "Ablation", tables["ablation"].rows),
        ("extensions", "Extension scores", tables["extensions"].rows),
        ("figure3", "Examples", True),
        ("figure4", "Score distributions", True),
        ("critical", "Critical images", True),
        ("runs", "Runs and settings", True),
        ("left-out", f"Left out ({len(left_out)})", True),
        ("files", "Files", True),
    ]
    return [(name, title) for name, title, shown in found if shown]
