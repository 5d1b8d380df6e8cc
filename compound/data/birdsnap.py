"""Birdsnap (Berg et al. 2014) in the layout that its authors' script makes; torchvision has no reader for it.

images.txt        tab-separated with a header: url, md5, path, species_id, …
test_images.txt   paths of the test images, with a header
species.txt       id, common, scientific, dir
download/images/  the images (`images/` if they were moved up)
"""

import csv
from pathlib import Path

from compound.documents import open_table


class Birdsnap:
    """Paths and labels of one part. Images whose address was gone, so that there is no file, are left out."""

    def __init__(self, root: str, train: bool) -> None:
        folder = Path(root) / "birdsnap"
        places = [place for place in (folder / "download" / "images", folder / "images") if place.is_dir()]
        if not places:
            raise RuntimeError("no images")
        try:
            test = {row["path"] for row in _rows(folder / "test_images.txt")}
            species = {row["id"]: row["common"] for row in _rows(folder / "species.txt")}
            listed = [row for row in _rows(folder / "images.txt") if (row["path"] not in test) is train]
            numbers = {key: number for number, key in enumerate(sorted(species, key=int))}
            there = [row for row in listed if (places[0] / row["path"]).is_file()]
            self.paths = [str(places[0] / row["path"]) for row in there]
            self.labels = [numbers[row["species_id"]] for row in there]
        except (KeyError, ValueError) as error:
            raise RuntimeError(f"a list of Birdsnap is damaged: {error}") from None
        self.classes = [species[key] for key in numbers]


def _rows(path: Path) -> list[dict[str, str]]:
    with open_table(path) as file:
        return list(csv.DictReader(file, delimiter="\t"))
