"""The command line: `python -m engine --help`. Stable; scripts rely on it.

With `--json` the last line of standard output is one JSON object. The exit status is 0 only when
the thing asked for happened; errors go to standard error as one readable sentence.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from engine.commands import datasets, doctor, preflight, runs, wishes
from engine.config import DEFAULT_RECIPE, RECIPES
from engine.errors import WorkbenchError
from engine.settings import Settings

Verbs = Any
"""What argparse calls `_SubParsersAction`; its own name is private."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(Settings.from_environment(os.environ), options))
    except WorkbenchError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of a pipe had enough (`… | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine",
        description="U-Net Workbench without a browser. WORKBENCH_HOME says where its data is.",
    )
    verbs = parser.add_subparsers(required=True, metavar="command")
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="one JSON object as the last line")
    _add_dataset_verbs(verbs, as_json)
    _add_run_verbs(verbs, as_json)
    _add_wish_verbs(verbs, as_json)

    verb = verbs.add_parser(
        "doctor", parents=[as_json], help="what is wrong with a run, or with this installation"
    )
    verb.add_argument("run", nargs="?", help="id or name of a run; none: the installation")
    verb.set_defaults(command=doctor.doctor)

    verb = verbs.add_parser("worker", help="execute queued jobs")
    verb.add_argument(
        "--detach", action="store_true", help="in the background, until idle for a while"
    )
    verb.set_defaults(command=runs.worker)
    return parser


def _add_dataset_verbs(verbs: Verbs, as_json: argparse.ArgumentParser) -> None:
    planned = argparse.ArgumentParser(add_help=False)
    planned.add_argument("path", type=Path, help="zip, tar or folder with images and masks")
    planned.add_argument("--plan", type=Path, metavar="FILE", help="JSON that “inspect” printed")
    planned.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a part of the plan, such as on_size_mismatch=skip; may be repeated",
    )

    verb = verbs.add_parser("import", parents=[planned, as_json], help="it becomes a dataset")
    verb.add_argument("--name", help="name of the dataset; default: the file's name")
    verb.set_defaults(command=datasets.import_)

    verb = verbs.add_parser(
        "inspect", parents=[planned, as_json], help="say what an import would do, and store nothing"
    )
    verb.set_defaults(command=datasets.inspect_)

    verb = verbs.add_parser("toy", help="write a small dataset to try things with")
    verb.add_argument("--out", type=Path, required=True, metavar="FILE.zip")
    verb.set_defaults(command=datasets.toy)


def _add_run_verbs(verbs: Verbs, as_json: argparse.ArgumentParser) -> None:
    fitted = argparse.ArgumentParser(add_help=False)
    fitted.add_argument("dataset", help="id or name of a dataset")
    fitted.add_argument(
        "--recipe",
        default=DEFAULT_RECIPE,
        help=f"one of {', '.join(RECIPES)}; default: %(default)s",
    )
    fitted.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, such as epochs=5 or augment=medium; may be repeated",
    )

    verb = verbs.add_parser("train", parents=[fitted, as_json], help="queue a training")
    verb.add_argument("--name", help="name of the run")
    verb.add_argument("--wait", action="store_true", help="wait for its end")
    verb.set_defaults(command=runs.train)

    verb = verbs.add_parser(
        "preflight", parents=[fitted, as_json], help="try settings: speed, memory, and more; waits"
    )
    verb.add_argument("--overfit", action="store_true", help="can it learn one batch by heart?")
    verb.add_argument("--rates", action="store_true", help="look for a learning rate")
    verb.add_argument(
        "--out", type=Path, metavar="DIR", help="draw training pairs, changed at random, into DIR"
    )
    verb.set_defaults(command=preflight.preflight)

    verb = verbs.add_parser("runs", parents=[as_json], help="list all runs")
    verb.set_defaults(command=runs.list_runs)

    verb = verbs.add_parser("show", parents=[as_json], help="one run: settings, epochs, scores")
    verb.add_argument("run", help="id or name of a run")
    verb.set_defaults(command=runs.show)

    verb = verbs.add_parser("scores", help="the scores of each image")
    verb.add_argument("run", help="id or name of a run")
    verb.add_argument("--split", choices=("train", "val", "test"), help="default: all")
    verb.add_argument("--format", choices=("table", "csv", "json"), default="table")
    verb.set_defaults(command=runs.scores)


def _add_wish_verbs(verbs: Verbs, as_json: argparse.ArgumentParser) -> None:
    one_run = argparse.ArgumentParser(add_help=False)
    one_run.add_argument("run", help="id or name of a run")

    verb = verbs.add_parser(
        "stop", parents=[one_run, as_json], help="stop a run; it keeps its model and is scored"
    )
    verb.add_argument("--pause", action="store_true", help="at once, and without scoring it")
    verb.set_defaults(command=wishes.stop)

    verb = verbs.add_parser(
        "resume", parents=[one_run, as_json], help="go on with a run that has ended"
    )
    verb.add_argument(
        "--more",
        type=float,
        default=0,
        metavar="N",
        help="train N more epochs, or minutes where the run has a time budget",
    )
    verb.set_defaults(command=wishes.resume)

    verb = verbs.add_parser(
        "evaluate", parents=[one_run, as_json], help="score the images of a run that has ended"
    )
    verb.set_defaults(command=wishes.evaluate)

    verb = verbs.add_parser("queue", parents=[as_json], help="list what runs and what waits")
    verb.set_defaults(command=wishes.queue)


if __name__ == "__main__":
    sys.exit(main())
