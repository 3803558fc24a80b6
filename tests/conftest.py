"""Settings of all tests."""

import torch

torch.set_num_threads(1)  # the models are small: more threads would only wait for each other
