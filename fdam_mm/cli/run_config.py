"""The config that a command line names, with what it overrides."""

import argparse
from pathlib import Path

from mmengine.config import Config

from fdam_mm.training.config import read_config, require_folder


def run_config(args: argparse.Namespace) -> Config:
    """The config of a training or test run, from the arguments of :func:`add_run_arguments`."""
    config = read_config(args.config, args.cfg_options)
    config.launcher = args.launcher
    if args.work_dir or not config.get("work_dir"):
        config.work_dir = args.work_dir or str(Path("work_dirs") / Path(args.config).stem)
    require_folder(config.work_dir, "--work-dir")
    if args.allow_pickle:
        config.allow_pickle = True
    return config
