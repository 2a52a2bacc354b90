"""All commands under one name: ``cyclegan-ad COMMAND ...``, ``python -m cyclegan_ad COMMAND``."""

import sys
from importlib import import_module

COMMANDS = {  # command -> function, and what it does
    "train": ("train_command", "train on one dataset, score its test set and set the thresholds"),
    "evaluate": ("evaluate", "score the test set of a trained run again, also with other scores"),
    "predict": ("predict", "decide about new images with a saved detector"),
    "calibrate": ("calibrate", "recompute a detector's threshold on labelled images"),
    "export": ("export", "write a detector as one file of ONNX, OpenVINO or torch.export"),
    "inspector": ("run_inspector", "a page on which people look at the decisions of a detector"),
    "report": ("report", "tables, figures and a page from the runs in a folder"),
    "dashboard": ("dashboard", "lay out a W&B workspace for comparing runs"),
}


def main() -> None:
    """Run the command named by the first word of the command line."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("--help", "-h", "help"):
        print("Usage: cyclegan-ad COMMAND [name=value ...]\n")
        for command, (_, what) in COMMANDS.items():
            print(f"  {command:10} {what}")
        print("\nHelp on a command: cyclegan-ad COMMAND --help")
        return
    if name not in COMMANDS:
        print(f"error: unknown command {name}: use one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(1)
    from cyclegan_ad.cli.command_line import run_command

    del sys.argv[1]
    task = getattr(import_module(f"cyclegan_ad.{name}"), COMMANDS[name][0])
    run_command(task, name)


if __name__ == "__main__":
    main()
