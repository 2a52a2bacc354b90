"""LaTeX: escapes, booktabs, and documents that compile and fit a page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from reporting.fake_runs import make_run

from cyclegan_ad.reporting.build import write_report
from cyclegan_ad.reporting.show.latex_table import latex, to_latex
from cyclegan_ad.reporting.show.text_tables import Text, TextTable

COMPILERS = ("pdflatex", "tectonic", "lualatex")
TABLE = TextTable(
    name="x",
    title="Table 2: Title of 5 %",
    groups=(("", 2), ("A_b", 2)),
    header=("Part", "Name", "p", "q"),
    rows=(
        (Text("One"), Text("a|b & <i>"), Text("1.00 ± 0.10 (f)", bold=True), Text("2.00 ± 0.10†")),
        (Text("Two"), Text('ひ "#~^\\{}'), Text("-"), Text("3", bold=True)),
    ),
    notes=("50 % of $x_1$",),
    text_columns=2,
    sections=1,
)


def test_it_escapes_marks_the_best_and_heads_the_parts() -> None:
    lines = to_latex(TABLE).splitlines()
    assert r"\caption{Title of 5 \%}" in lines
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{A\_b} \\" in lines
    assert r"\cmidrule(lr){2-3}" in lines
    assert r"Name & p & q \\" in lines
    assert r"\multicolumn{3}{@{}l}{\textit{Two}} \\" in lines
    row = next(line for line in lines if line.startswith("a"))
    _, best, flagged = row.removesuffix(r" \\").split(" & ")[-3:]
    assert r"a\textbar{}b \& \textless{}i\textgreater{}" in row
    assert best == r"\textbf{1.00}{\tiny$\,\pm$0.10} (f)"
    assert flagged == r"2.00{\tiny$\,\pm$0.10$^\dagger$}"
    assert r"50 \% of \$x\_1\$\par" in lines
    rules = [r"\toprule", r"\midrule", r"\bottomrule"]
    assert [line for line in lines if line in rules] == rules
    assert latex("\\{~^#}") == r"\textbackslash{}\{\textasciitilde{}\textasciicircum{}\#\}"


def find_compiler() -> str | None:
    return next((name for name in COMPILERS if shutil.which(name)), None)


def compile_document(folder: Path, names: list[str]) -> tuple[str, bytes]:
    """Compile a document with these tables, each on a page of its own; gives the log and PDF."""
    name = find_compiler()
    assert name is not None
    lines = [r"\documentclass{article}", r"\usepackage{booktabs,graphicx}", r"\begin{document}"]
    lines += [rf"\input{{{one}}}\clearpage" for one in names]
    (folder / "document.tex").write_text("\n".join([*lines, r"\end{document}"]))
    options = ["--keep-logs"] if name == "tectonic" else ["-interaction=nonstopmode"]
    stop = [] if name == "tectonic" else ["-halt-on-error"]
    done = subprocess.run(
        [name, *options, *stop, "document.tex"], cwd=folder, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    log = (folder / "document.log").read_text(errors="replace")
    return log, (folder / "document.pdf").read_bytes()


needs_tex = pytest.mark.skipif(
    find_compiler() is None, reason=f"there is no TeX on this machine: {', '.join(COMPILERS)}"
)


@needs_tex
def test_strange_names_compile(tmp_path: Path) -> None:
    (tmp_path / "x.tex").write_text(to_latex(TABLE))
    compile_document(tmp_path, ["x"])


@needs_tex
@pytest.mark.slow
def test_the_tables_of_the_paper_compile_and_fit_a_page_each(tmp_path: Path) -> None:
    runs, out = tmp_path / "runs", tmp_path / "out"
    both = ["sse", "fid_efficientnet_lite0"]
    for dataset in ("hazelnut", "screw", "tile", "wood", "brain_mri", "breast_ultrasound"):
        for method, size, columns in (
            *(("cyclegan", 256, both), ("cyclegan", 64, both), ("ganomaly", 256, both)),
            *(("padim", 256, ["embedding"]), ("patchcore", 256, ["embedding"])),
            ("linear_probe", 256, ["probe_tta"]),
        ):
            make_run(runs, method, size, dataset, columns=columns, examples=False)
    write_report(runs, out, None)
    tables = sorted(path.stem for path in out.glob("*.tex"))
    assert {"table2", "final", "headline", "significance"} <= set(tables)
    log, pdf = compile_document(out, tables)
    assert "Overfull" not in log and "Float too large" not in log
    pages = re.search(r"Output written on document\.pdf \((\d+) pages?", log)
    if pages is not None:  # tectonic does not say
        assert int(pages[1]) == len(tables)
    assert pdf.startswith(b"%PDF")
