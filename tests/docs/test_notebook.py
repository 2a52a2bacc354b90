"""The notebook of the documentation runs from its first cell to its last."""

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="extra 'docs'")
nbclient = pytest.importorskip("nbclient", reason="extra 'docs'")

NOTEBOOK = Path(__file__).parents[2] / "docs" / "detector.ipynb"


@pytest.mark.slow
def test_each_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="extra 'docs'")
    monkeypatch.setenv("CYCLEGAN_AD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()  # raises if a cell does
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    shown = [out for cell in outputs for out in cell if out.output_type != "stream"]
    assert any("image/png" in out.get("data", {}) for out in shown)
    text = " ".join(out["data"].get("text/plain", "") for out in shown)
    assert "confidence" in text and "'abnormal'" in text
