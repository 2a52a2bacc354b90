from pathlib import Path

from errors import refuses

from cyclegan_ad.data.checks import require_readable


def test_files_that_need_a_package_are_named_in_part(tmp_path: Path) -> None:
    damaged = {f"normal/{i}.png": "damaged PNG" for i in range(9)}
    needy = {f"normal/{i}.dcm": "DICOM needs the package x: pip install x" for i in range(9)}
    facts = ("18 of 20", *damaged, "normal/0.dcm", "normal/2.dcm, ... (DICOM needs")
    with refuses(file=tmp_path, facts=facts, remedy="pip install x") as caught:
        require_readable(damaged | needy, 20, "images", tmp_path)
    assert "normal/3.dcm" not in str(caught.value)
