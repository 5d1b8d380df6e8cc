"""From an image of any shape to the network's input: bound to the network, so that it cannot be wrong elsewhere."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn.functional import interpolate

from compound.data.decode import to_channels
from compound.data.errors import DataError
from compound.errors import NetworkError
from compound.mapping import from_mapping
from compound.network import Inputs, Network

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as in torchvision's rgb_to_grayscale
MODES = {"bicubic": "bicubic", "bilinear": "bilinear", "nearest": "nearest-exact"}


@dataclass(frozen=True)
class Preprocessing:
    """`resize` on the processor in uint8, then `normalise` on the device in float. R is `resolution`, C `channels`."""

    resolution: int
    channels: int
    inputs: Inputs

    def __post_init__(self) -> None:
        if self.resolution < 1:
            raise DataError(f"preprocessing: resolution {self.resolution} is less than one pixel; use e.g. 224")
        if self.channels < 1:
            raise DataError(f"preprocessing: channels {self.channels} is not possible; use 1 for grey or 3 for RGB")
        for field, values in (("mean", self.inputs.mean), ("std", self.inputs.std)):
            if len(values) not in (1, 3):
                raise DataError(f"preprocessing: {field} has {len(values)} numbers; give one, or one a channel of RGB")
        try:
            self.inputs.check()
        except NetworkError as error:
            raise DataError(f"preprocessing: {error}") from None

    @classmethod
    def of(cls, network: Network) -> "Preprocessing":
        """What `network` was made for."""
        return cls(network.resolution, network.channels, network.inputs)

    @property
    def mean(self) -> tuple[float, ...]:
        """One number a channel, in units of the 0–1 range."""
        return _spread(self.inputs.mean, self.channels)

    @property
    def std(self) -> tuple[float, ...]:
        return _spread(self.inputs.std, self.channels)

    @property
    def fill(self) -> tuple[int, ...]:
        """The mean as a pixel (C,), 0–255: fills borders and holes, so that they normalise to about 0."""
        return tuple(round(255 * value) for value in self.mean)

    def resize(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (…, 1 or 3, H, W) to uint8 (…, C, R, R) as for evaluation: see `Inputs.fit`."""
        height, width = images.shape[-2:]
        if self.inputs.fit == "crop":
            short = min(height, width)
            # int() and the odd pixel above are those of the official decode_and_center_crop.
            side = self.inputs.crop(short, self.resolution)
            return self.scale(images, (height - side + 1) // 2, (width - side + 1) // 2, side, side)
        if self.inputs.fit == "squash":
            return self.scale(images, 0, 0, height, width)
        return self._pad(images)

    def scale(self, images: torch.Tensor, top: int, left: int, height: int, width: int) -> torch.Tensor:
        """The rectangle of `images` (…, 1 or 3, H, W), in pixels, at (…, C, R, R); antialiased."""
        size = (self.resolution, self.resolution)
        return self._scaled(images[..., top : top + height, left : left + width], size)

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 0–255 or float 0–1 (N, C, R, R) to float32: (x − mean) / std, on the device of `batch`."""
        unit = 255.0 if batch.dtype == torch.uint8 else 1.0
        pairs = zip(self.mean, self.std, strict=True)
        affine = torch.tensor([(-mean / std, 1 / (unit * std)) for mean, std in pairs])
        if batch.is_cuda:  # from pageable memory the copy would wait for all work under way
            affine = affine.pin_memory().to(batch.device, non_blocking=True)
        offset, factor = affine.to(batch.device).T[..., None, None]
        return torch.addcmul(offset, batch.float(), factor)

    def to_mapping(self) -> dict[str, Any]:
        """Every field as plain values: defaults too, for these outlive the version of the program that wrote them."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], where: str = "preprocessing") -> "Preprocessing":
        return from_mapping(cls, given, where)

    def _pad(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        if height == width:
            return self.scale(images, 0, 0, height, width)
        ratio = self.resolution / max(height, width)
        size = (max(round(height * ratio), 1), max(round(width * ratio), 1))
        fill = torch.tensor(self.fill, dtype=torch.uint8)[:, None, None]
        result = fill.expand(*images.shape[:-3], self.channels, self.resolution, self.resolution).clone()
        top, left = ((self.resolution - side) // 2 for side in size)
        result[..., top : top + size[0], left : left + size[1]] = self._scaled(images, size)
        return result

    def _scaled(self, images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        images = to_channels(images, self.channels)
        if images.shape[-2:] == size:
            return images
        single, mode = images.ndim == 3, MODES[self.inputs.interpolation]
        # A crop is a view, which torch scales at a third of the speed; the pixels are the same.
        batch = images[None].contiguous(memory_format=torch.channels_last) if single else images
        # Not through torchvision: what it looks up for each image is a fifth of the time of a small one.
        scaled = interpolate(batch, size, mode=mode, antialias=mode != "nearest-exact")
        return scaled[0] if single else scaled


def _spread(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """One number a channel: a single one for all; of RGB's three the luma for grey and the mean for other channels."""
    if len(values) == channels:
        return values
    if len(values) == 1:
        return values * channels
    if channels > 1:
        return (sum(values) / len(values),) * channels
    return (sum(weight * value for weight, value in zip(LUMA, values, strict=True)),)
