"""The config that a command line names, with what it overrides."""

import argparse
from pathlib import Path

from mmengine.config import Config

from fdam_mm.apis.sources import name_of
from fdam_mm.files import require_folder


def run_config(args: argparse.Namespace, config: Config) -> Config:
    """A config with what the arguments of :func:`add_run_arguments` say of a training or test."""
    config.launcher = args.launcher
    if args.work_dir or not config.get("work_dir"):
        config.work_dir = args.work_dir or str(Path("work_dirs") / name_of(args.config))
    require_folder(config.work_dir, "--work-dir")
    if args.allow_pickle:
        config.allow_pickle = True
    return config
