"""Images in: sources, preprocessing bound to the network, augmentation, batches."""

from compound.data.augment import Augment
from compound.data.decode import decode_image
from compound.data.errors import DamagedImage, DataError
from compound.data.idx import CLASSES
from compound.data.loader import Batch, DamageLog, Images, end_workers, loading, make_loader
from compound.data.open import DataSet, open_data
from compound.data.pictures import pictures_of
from compound.data.preprocess import Preprocessing
from compound.data.sampler import Draw, EpochSampler
from compound.data.source import ArraySource, FileSource, Source, subset
from compound.data.spec import DataSpec

__all__ = [
    "CLASSES",
    "ArraySource",
    "Augment",
    "Batch",
    "DamageLog",
    "DamagedImage",
    "DataError",
    "DataSet",
    "DataSpec",
    "Draw",
    "EpochSampler",
    "FileSource",
    "Images",
    "Preprocessing",
    "Source",
    "decode_image",
    "end_workers",
    "loading",
    "make_loader",
    "open_data",
    "pictures_of",
    "subset",
]
