"""Emoji in several hands' styles, from packages of icons: colour and detail at any size, the Unicode group as class.

A package is a folder as npm unpacks `@iconify-json/…`: icons.json with drawings, metadata.json with the groups,
chars.json with the code points, info.json with author and licence.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from compound.data.drawn.folder import DrawnFolder, DrawnPicture, check_asked, write
from compound.documents import read_json
from compound.errors import UsageError

FILES = ("icons.json", "metadata.json", "chars.json", "info.json")
SKIN = {f"1f3f{digit}" for digit in "bcdef"}  # modifiers of skin tones
# A runner, a woman running and a runner to the right differ behind the joiner, and look the same.
JOINER, AS_EMOJI = "-200d-", "-fe0f"
VERSION = "-v1"  # behind the name of a vendor's older style


def draw_emoji(
    packages: Sequence[Path], out: Path, side: int = 64, *, test: float = 0.2, seed: int = 0, by: str = "emoji"
) -> DrawnFolder:
    """Pictures on white, `side` px, a class a Unicode group.

    `by` says what stands on one side of train and test: every `emoji` in all its styles and variants, so that the
    test's are unseen, or every `style`, older versions of a vendor's among it. Skin tones are left out, and counted.

    Raises `UsageError` for what is no package of icons and where too few classes are left, `ModuleNotFoundError`
    without resvg-py, which draws.
    """
    import resvg_py  # noqa: F401  # said before anything is read

    check_asked(out, side, test)
    if by not in ("emoji", "style"):
        raise UsageError(f"there is no split by {by!r}; use emoji or style")
    left_out: Counter[str] = Counter()
    pictures = [one for package in packages for one in of_package(package, side, by, left_out)]
    return write(pictures, out, [described(package) for package in packages], left_out, test=test, seed=seed)


def of_package(package: Path, side: int, by: str, left_out: Counter[str]) -> Iterator[DrawnPicture]:
    icons, groups, codes, _ = (read(package, name) for name in FILES)
    group_of = {name: group for group, names in groups.get("categories", {}).items() for name in names}
    code_of = {name: code for code, name in codes.items()}
    vendor = str(icons["prefix"]).removesuffix(VERSION)
    for name, icon in icons["icons"].items():
        code, body = code_of.get(name, ""), str(icon.get("body", ""))
        if name not in group_of or not code:
            left_out["without a group or a code point"] += 1
        elif SKIN & set(code.lower().split("-")):
            left_out["with a skin tone"] += 1
        elif "<image" in body:
            left_out["that refer to other files"] += 1
        else:
            width, height = (icon.get(one, icons.get(one, 16)) for one in ("width", "height"))
            image = rendered(body, float(width), float(height), side)
            label = group_of[name].lower().replace(" & ", "-and-").replace(" ", "-")
            subject = code.split(JOINER)[0].removesuffix(AS_EMOJI) if by == "emoji" else vendor
            yield DrawnPicture(image, label, f"{icons['prefix']}-{code}", subject, icons["prefix"])


def rendered(body: str, width: float, height: float, side: int) -> Image.Image:
    import resvg_py

    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">{body}</svg>'
    drawn = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True))
    picture = Image.open(io.BytesIO(drawn)).convert("RGBA")
    white = Image.new("RGBA", (side, side), "white")
    white.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2), picture)
    return white.convert("RGB")


def read(package: Path, name: str) -> Any:
    remedy = f"a package of icons has {', '.join(FILES)}; name the folder that `npm pack` unpacks to"
    return read_json(package / name, remedy, most="COMPOUND_MAX_INDEX")


def described(package: Path) -> dict[str, Any]:
    info = read(package, "info.json")
    licence = info.get("license", {})
    return {
        "file": read(package, "icons.json")["prefix"],
        "name": info.get("name", ""),
        "licence": licence.get("spdx") or licence.get("title", ""),
        "page": licence.get("url", ""),
    }
