"""Makes compound/data/fashion6k: the first 600 training and 100 test images of each class of Fashion-MNIST.

    python scripts/make_fashion6k.py /usr/share/datasets/fashion-mnist

SOURCE_DIR holds the four idx files (Debian's package dataset-fashion-mnist). Images stay in the order of the source,
and the files come out the same byte for byte.
"""

import sys
from pathlib import Path

import numpy as np

from compound.data.idx import IMAGES, LABELS, read_idx, write_idx

FOLDER = Path(__file__).parents[1] / "compound" / "data" / "fashion6k"


def main(source: Path) -> None:
    for prefix, each in (("train", 600), ("t10k", 100)):
        images, labels = (read_idx(source / f"{kind.format(prefix)}.gz") for kind in (IMAGES, LABELS))
        chosen = np.sort(np.concatenate([np.flatnonzero(labels == label)[:each] for label in np.unique(labels)]))
        write_idx(FOLDER / f"{IMAGES.format(prefix)}.gz", images[chosen])
        write_idx(FOLDER / f"{LABELS.format(prefix)}.gz", labels[chosen])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/make_fashion6k.py SOURCE_DIR")
    main(Path(sys.argv[1]))
