"""The README says what the records say."""

from pathlib import Path

import pytest
from errors import refuses
from measured import answer

from experiments.benchmark import DEFAULTS, benchmark
from experiments.benchmarks import readme
from experiments.benchmarks.readme import BEGIN, END, fill_readme, insert
from experiments.benchmarks.record import full_records, table_of

ROOT = Path(__file__).resolve().parents[3]


def test_the_readme_of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    problems = fill_readme(readme.DEFAULTS | {"check": "true"})
    assert [str(problem) for problem in problems] == []


def test_the_records_of_this_checkout() -> None:
    for record in full_records(ROOT / "experiments" / "results"):
        assert record["table"] == table_of(record)
        assert (ROOT / "docs" / readme.figure_name(record)).is_file()


def test_written_from_the_records_and_compared_with_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for gpus in (1, 0):
        settings = DEFAULTS | {"out": str(tmp_path / "results")}
        benchmark(settings, ask=lambda asked, limit_s, gpus=gpus: answer(asked, gpus=gpus))
    page = tmp_path / "README.md"
    page.write_text(f"# Title\n\n{BEGIN}\n{END}\n\n## More\n")
    settings = readme.DEFAULTS | {
        "results": str(tmp_path / "results"),
        "readme": str(page),
        "figures": str(tmp_path / "docs"),
    }
    [problem] = fill_readme(settings | {"check": "true"})
    assert "python -m experiments.benchmarks.readme" in str(problem)
    assert fill_readme(settings) == []
    text = page.read_text()
    assert text.startswith(f"# Title\n\n{BEGIN}\n**Some CPU")
    assert text.endswith(f"{END}\n\n## More\n")
    assert text.index("Some CPU") < text.index("NVIDIA H100")
    assert "| 64 px, batch 4, bf16 | 1.85 | 4.00 | 2.16" in text
    for figure in ("benchmark_some-cpu-2-cores.png", "benchmark_nvidia-h100-80gb-hbm3.png"):
        assert (tmp_path / "docs" / figure).is_file() and figure in text
    assert fill_readme(settings | {"check": "true"}) == []
    page.write_text(text.replace("| 4.00 |", "| 5.00 |", 1))
    assert len(fill_readme(settings | {"check": "true"})) == 1
    capsys.readouterr()


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_readme_without_its_place(text: str) -> None:
    with refuses(file="README.md"):
        insert(text, "new", "README.md")


def test_check_is_true_or_false() -> None:
    with refuses(setting="check", value="maybe"):
        fill_readme(readme.DEFAULTS | {"check": "maybe"})
