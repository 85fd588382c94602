"""The network: MobileNetV3-Large with an embedding head (Howard et al., 2019, arXiv:1905.02244)."""

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import mobilenet_v3_large

from facerec.inference.cropping import CROP_SIZE
from facerec.training.backbone import BLOCKS, normalize
from facerec.training.recognition.loss import CosineClassifier

CENTRE_SIZE = 128
"""Side in pixels of the crop's centre that training shows, changed at random: the face, which in LFW measures about
110 of the 250 pixels, and little of hair and background, by which pictures can be told apart instead of people."""

INPUT_SIZE = 224
"""Side in pixels that the crop is resized to: larger than it is, so that the last blocks see 7 x 7 places of it."""

SHOWN = {"crop": CENTRE_SIZE, "input_size": INPUT_SIZE}
"""What a network is shown of a crop: one that was trained with other numbers is another network."""


def preprocess(crops: Tensor) -> Tensor:
    """Crops uint8 `[N, 250, 250, 3]` as the network's input: float32 `[N, 3, 224, 224]`, the centre, normalized."""
    start, stop = (CROP_SIZE - CENTRE_SIZE) // 2, (CROP_SIZE + CENTRE_SIZE) // 2
    centre = crops[:, start:stop, start:stop].permute(0, 3, 1, 2).float()
    size = (INPUT_SIZE, INPUT_SIZE)
    return normalize(functional.interpolate(centre, size=size, mode="bilinear", align_corners=False))


class FaceNetwork(nn.Module):
    """Images become embeddings on the unit sphere, and cosine similarities to the classes.

    Args:
        embedding_size: length D of the embeddings.
        classes: number C of classes.
    """

    def __init__(self, *, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.features = mobilenet_v3_large().features
        self.head = nn.Sequential(
            nn.Linear(960, embedding_size, bias=False),
            nn.BatchNorm1d(embedding_size),
        )
        self.classifier = CosineClassifier(embedding_size=embedding_size, classes=classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalized images `[N, 3, H, W]` to cosine similarities `[N, C]`."""
        similarities: Tensor = self.classifier(self.embed(images))
        return similarities

    def embed(self, images: Tensor) -> Tensor:
        """Normalized images `[N, 3, H, W]` to L2-normalized embeddings `[N, D]`."""
        return functional.normalize(self.head(self.features(images).mean(dim=(2, 3))))

    def embed_crops(self, crops: Tensor) -> Tensor:
        """Embeddings `[N, D]` of crops uint8 `[N, 250, 250, 3]`."""
        return self.embed(preprocess(crops))

    def freeze(self, *, unfrozen_blocks: int) -> None:
        """Leave only the last `unfrozen_blocks` of the backbone's 17 blocks, and the head, to be trained."""
        for block in self.features[: BLOCKS - unfrozen_blocks]:
            block.requires_grad_(False)

    def train(self, mode: bool = True) -> "FaceNetwork":
        """Set the mode of everything but frozen blocks, whose BatchNorm statistics stay as they were pretrained."""
        super().train(mode)
        for block in self.features:
            if not any(parameter.requires_grad for parameter in block.parameters()):
                block.eval()
        return self
