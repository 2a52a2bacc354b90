"""Whether a trained run has all that an evaluation writes."""

from cyclegan_ad.evaluation.combine import all_scored
from cyclegan_ad.evaluation.figures import figure_names
from cyclegan_ad.runs.directory import RunDirectory
from cyclegan_ad.runs.examples import FILE as EXAMPLES
from cyclegan_ad.runs.examples import examples_fingerprint
from cyclegan_ad.runs.results import read_metrics
from cyclegan_ad.settings.train import Settings


def is_complete(run: RunDirectory, settings: Settings) -> bool:
    """Return whether a trained run has the requested scores and all files of an evaluation."""
    score = settings.score
    if not all_scored(run, score) or not _has_folds(run, settings):
        return False
    config = run.read_config()
    examples = examples_fingerprint(run.path)
    written = read_metrics(run.path)["fingerprints"].get(EXAMPLES)
    if not examples or examples != written:
        return False
    named = figure_names([c.column for c in score.columns], not config.protocol.normal_only)
    files = [run.figures / name for name in named]
    if config.protocol.calibration_fraction > 0 and not config.protocol.normal_only:
        files.append(run.calibration)
    return run.detector.is_dir() and all(file.is_file() for file in files)


def _has_folds(run: RunDirectory, settings: Settings) -> bool:
    """Return whether a run has what ``protocol=crossval`` needs, if that is asked for."""
    protocol, decided = settings.protocol, read_metrics(run.path)["protocols"]
    if protocol.name != "crossval":
        return True
    found = [decided.get("crossval", {}).get(column.column) for column in settings.score.columns]
    if not settings.entry.refits:
        return all(row is not None for row in found)
    name, asked = "folds", protocol.crossval_folds
    if asked == "leave_one_out":
        name, asked = "largest_fold", 1
    return all(row is not None and row[name] == asked for row in found)
