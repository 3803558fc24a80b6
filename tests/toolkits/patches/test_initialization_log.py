"""What building and initializing a model leaves in the log."""

from pathlib import Path

import pytest
from mmengine.logging import MMLogger
from support.upstream import pristine
from torch import nn

from fdam_mm.apis.building import build_model
from fdam_mm.toolkits.scope import toolkit_scope
from fdam_mm.training.config import read_config


@pytest.mark.parametrize("file", ["fdam-vit_demo", "oriented-rcnn_lsknet_demo"])
def test_one_line_in_place_of_one_for_each_parameter(
    file: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = read_config(f"configs/demo/{file}.py", {})
    log = tmp_path / "log"
    MMLogger.get_instance(request.node.name, log_level="INFO", log_file=str(log))
    model = build_model(config)
    with toolkit_scope(config.default_scope):
        model.init_weights()
    lines = log.read_text().splitlines()
    assert len(lines) == 1 and len(lines[0]) < 150
    assert f"{type(model).__name__}: " in lines[0] and "parameters initialized" in lines[0]


def test_upstream_says_something_of_every_parameter(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base = pristine("mmengine.model.base_module").BaseModule

    class Pair(base):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

    log = tmp_path / "log"
    MMLogger.get_instance(request.node.name, log_level="INFO", log_file=str(log))
    Pair().init_weights()
    assert log.read_text().count("linear.") >= 2
