"""Each case runs in an interpreter of its own: operators, once declared, stay for a process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PACKAGE_PARENT = Path(__file__).resolve().parents[1]

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the hook acts on Linux only")


def run_python(code: str, *search_path: Path) -> subprocess.CompletedProcess[str]:
    """Runs code with the package and, before everything else, search_path importable."""
    paths = os.pathsep.join(str(path) for path in (*search_path, PACKAGE_PARENT))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def write_stub_torchvision(folder: Path, *, library_loads: bool) -> None:
    """A torchvision that only does what the hook watches; its library is code of torch's own."""
    package = folder / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from . import extension\nfrom . import _meta_registrations\n"
    )
    library = """
        import torch
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        def _has_ops(): return True
        """
    no_library = """
        def _has_ops(): return False
        """
    (package / "extension.py").write_text(textwrap.dedent(library if library_loads else no_library))
    (package / "_meta_registrations.py").write_text(
        textwrap.dedent(
            """
            import torch
            @torch.library.register_fake("torchvision::nms")
            def meta_nms(dets, scores, iou_threshold): return dets.new_empty(0)
            @torch.library.register_fake("torchvision::qnms")
            def meta_qnms(dets, scores, iou_threshold): return dets.new_empty(0)
            """
        )
    )


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize(
    "imports",
    [
        "torchvision, pytorch_lightning, torchmetrics, pytorch_fid.inception",
        "pytorch_fid.inception, torchmetrics, pytorch_lightning, torchvision",
    ],
)
def test_everything_imports_after_the_package_and_nms_works_or_says_why(imports: str) -> None:
    result = run_python(
        f"""
        import cyclegan_ad
        import {imports}
        import torch
        boxes, scores = torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1)
        try:
            kept = torchvision.ops.nms(boxes, scores, 0.5)
        except RuntimeError as error:
            assert not torchvision.extension._has_ops()
            assert "Couldn't load custom C++ ops" in str(error)
        else:
            assert torchvision.extension._has_ops() and kept.tolist() == [0]
        """
    )
    assert result.returncode == 0, result.stderr


@linux_only
def test_import_that_fails_without_the_package_works_after_it(tmp_path: Path) -> None:
    write_stub_torchvision(tmp_path, library_loads=False)
    result = run_python(
        """
        import sys, torch
        torch.version.cuda = torch.version.hip = None
        try:
            import torchvision
        except RuntimeError as error:
            assert "operator torchvision::nms does not exist" in str(error)
        else:
            raise SystemExit("the stub must fail on its own")
        before = list(sys.meta_path)
        import cyclegan_ad
        assert sys.meta_path != before
        import torchvision
        assert sys.meta_path == before
        """,
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


@linux_only
def test_nothing_is_declared_where_the_library_loads(tmp_path: Path) -> None:
    write_stub_torchvision(tmp_path, library_loads=True)
    result = run_python(
        """
        import cyclegan_ad
        import torch
        torch.version.cuda = torch.version.hip = None
        import torchvision
        from cyclegan_ad import torchvision_compat
        assert torchvision_compat._declarations == []
        """,
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


@linux_only
def test_mismatch_with_a_gpu_build_of_torch_is_not_hidden(tmp_path: Path) -> None:
    write_stub_torchvision(tmp_path, library_loads=False)
    result = run_python(
        """
        import cyclegan_ad
        import torch
        for cuda, hip in (("13.0", None), (None, "7.2")):
            torch.version.cuda, torch.version.hip = cuda, hip
            cyclegan_ad.install_import_hook()
            try:
                import torchvision
            except RuntimeError as error:
                assert "operator torchvision::nms does not exist" in str(error)
            else:
                raise SystemExit(f"hidden with cuda={cuda}, hip={hip}")
        """,
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_no_hook_on_other_systems(platform: str) -> None:
    result = run_python(
        f"""
        import sys
        before = list(sys.meta_path)
        sys.platform = {platform!r}
        import cyclegan_ad
        assert sys.meta_path == before
        """
    )
    assert result.returncode == 0, result.stderr


@linux_only
def test_hook_is_installed_once_and_not_after_torchvision() -> None:
    result = run_python(
        """
        import sys
        sys.modules["torchvision"] = None
        before = list(sys.meta_path)
        import cyclegan_ad
        assert sys.meta_path == before
        del sys.modules["torchvision"]
        cyclegan_ad.install_import_hook()
        cyclegan_ad.install_import_hook()
        assert len(sys.meta_path) == len(before) + 1
        """
    )
    assert result.returncode == 0, result.stderr
