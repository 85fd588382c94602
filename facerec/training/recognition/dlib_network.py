"""dlib's network as a recognizer: nothing is trained, a known person is the template of the training images."""

import torch
from torch import Tensor
from torch.nn import functional

from facerec.training.dataset import FaceDataset
from facerec.training.dlib_resnet import RESNET_FILE, find_dlib_file, read_dlib_resnet
from facerec.training.recognition.embeddings import EmbeddingNetwork, Embeddings, known_templates
from facerec.training.recognition.trained_model import TrainedModel
from facerec.training.split import Split

SOFTMAX_TEMPERATURE = 1 / 320
"""Temperature before calibration. The embeddings are not centred, so that cosines lie between about 0.8 and 1: they
differ by a tenth of what those of a network differ by that was trained on cosines, with a temperature of 1 / 32."""


class DlibNetwork(EmbeddingNetwork):
    """dlib's network, with weights that are rounded to float16, so that the model file can hold them in half the bytes.

    Raises:
        DataError: the package with dlib's file is missing or damaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resnet = read_dlib_resnet(find_dlib_file(RESNET_FILE))
        for parameter in self.resnet.parameters():
            parameter.copy_(parameter.half())

    def embed_crops(self, crops: Tensor) -> Tensor:
        """Convert crops uint8 `[N, 150, 150, 3]` to L2-normalized embeddings float32 `[N, 128]`."""
        return functional.normalize(self.resnet(crops.permute(0, 3, 1, 2)))


def enrol_known_people(dataset: FaceDataset, splits: list[Split], *, device: torch.device) -> list[TrainedModel]:
    """A recognizer for each fold. All share one network.

    Raises:
        DataError: the package with dlib's file is missing or damaged.
    """
    network = DlibNetwork().to(device).to(memory_format=torch.channels_last)
    embeddings = Embeddings(network, dataset.crops)
    mirrored = Embeddings(network, dataset.crops, mirrored=True)
    return [
        TrainedModel(network, known_templates(embeddings, mirrored, split), SOFTMAX_TEMPERATURE, embeddings, history=[])
        for split in splits
    ]
