"""Every test is without a runner, as alone: EoMT's masking follows the one that ran last."""

import pytest
from mmengine.logging import MessageHub


@pytest.fixture(autouse=True)
def no_runner() -> None:
    MessageHub._instance_dict.clear()
