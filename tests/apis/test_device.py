"""Names of devices."""

import pytest
import torch

from fdam_mm.apis.loading import usable_device
from fdam_mm.errors import UsageError


@pytest.mark.parametrize("name", ["gpu", "cuda:77", "cuda:a", "cpu:x", "", "GPU0"])
def test_what_is_no_device_is_one_line(name: str) -> None:
    with pytest.raises(UsageError, match=f"^device is '{name}', which .* there is cpu") as error:
        usable_device(name)
    assert "\n" not in str(error.value)


def test_devices() -> None:
    assert usable_device("cpu") == torch.device("cpu")
    assert usable_device(torch.device("cpu")) == torch.device("cpu")
    assert usable_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
