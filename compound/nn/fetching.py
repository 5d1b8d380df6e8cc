"""Published files: where they are kept once fetched, whether they can be had, and fetching them.

torchvision's lie in torch's cache, under names that end in the first digits of their SHA-256; those of the Hugging Face
hub in its cache, under their digests. What is read from there is compared with its digest. With `HF_HUB_OFFLINE=1`
nothing is fetched.
"""

import os
import re
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import torch
from torchvision import models

from compound.files import sha256
from compound.nn.foreign import WeightsError

TORCHVISION = "torchvision/"
HUB = "hf:"  # before a name of the hub
FILES = ("config.json", "model.safetensors")  # of a repository, what is read
PATIENCE = 5.0  # seconds for an answer to whether a file can be fetched


class Reach:
    """Whether published weights can be had from here. What does not answer once is not asked again."""

    def __init__(self) -> None:
        self._silent: dict[str, str] = {}  # by host: why nothing comes from there

    def missing(self, name: str) -> str | None:
        """Why the weights `name` can be neither read from the cache nor fetched, in words; None where they can."""
        host = TORCHVISION if name.startswith(TORCHVISION) else HUB
        if is_cached(name):
            return None
        if offline():
            return "HF_HUB_OFFLINE forbids to fetch it"
        if host not in self._silent:
            try:
                return _refused_by_torchvision(name) if host == TORCHVISION else _refused_by_hub(name)
            except ImportError:
                self._silent[host] = "huggingface_hub is not installed (pip install 'compound[hub]')"
            except OSError:
                where = "download.pytorch.org" if host == TORCHVISION else "the hub"
                self._silent[host] = f"{where} cannot be reached"
        return self._silent[host]


def is_cached(name: str) -> bool:
    """Whether all files of the published weights `name` are on this machine."""
    if name.startswith(TORCHVISION):
        entry = entry_of(name)
        return entry is not None and cached(entry.url).is_file()
    try:
        from huggingface_hub import try_to_load_from_cache  # an extra of its own
    except ImportError:
        return False
    repo, _, revision = name.removeprefix(HUB).partition("@")
    return all(isinstance(try_to_load_from_cache(repo, file, revision=revision or None), str) for file in FILES)


def how_to_fetch(name: str) -> str:
    """What brings the weights `name` into the cache, on a machine with a network."""
    if name.startswith(TORCHVISION):
        entry = entry_of(name)
        return f"download {entry.url} to {cached(entry.url).parent}" if entry else "pip install -U torchvision"
    return f"hf download {name.removeprefix(HUB)} {' '.join(FILES)}"


def entry_of(name: str) -> models.WeightsEnum | None:
    """torchvision's own entry of `torchvision/ARCH.TAG`; None where this version has none."""
    arch, _, tag = name.removeprefix(TORCHVISION).partition(".")
    try:
        entries = models.get_model_weights(arch)
    except ValueError:
        return None
    found: models.WeightsEnum | None = entries.__members__.get(tag) if tag else getattr(entries, "DEFAULT", None)
    return found


def _refused_by_torchvision(name: str) -> str | None:
    """Raises `OSError` where the host does not answer."""
    entry = entry_of(name)
    if entry is None:
        return "this version of torchvision does not have it (pip install -U torchvision)"
    try:
        with urlopen(Request(entry.url, method="HEAD"), timeout=PATIENCE):
            return None
    except HTTPError as error:
        return f"{entry.url} answers {error.code}"


def _refused_by_hub(name: str) -> str | None:
    """Raises `OSError` where the hub does not answer, and `ImportError` without its library."""
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    repo, _, revision = name.removeprefix(HUB).partition("@")
    try:
        get_hf_file_metadata(hf_hub_url(repo, FILES[-1], revision=revision or None), timeout=PATIENCE)
    except errors.HfHubHTTPError as error:
        if error.response is not None:
            return f"the hub answers {error.response.status_code}"
        raise OSError(str(error)) from None
    except errors.HFValidationError as error:
        return str(error)
    except Exception as error:  # of whichever client the library is built on, each with errors of its own
        raise OSError(str(error)) from None
    return None


def offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def cached(url: str) -> Path:
    """Where torch keeps what it fetched from `url`."""
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def fetched(url: str) -> Path:
    """torchvision's file in torch's cache; its name ends in the first digits of its SHA-256."""
    path = cached(url)
    digits = path.stem.rpartition("-")[2]
    if not path.is_file():
        if offline():
            raise WeightsError(f"{path.name} is not in {path.parent}, and HF_HUB_OFFLINE forbids to fetch it")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), digits, progress=False)
        except (URLError, OSError, RuntimeError) as error:
            raise WeightsError(f"{url} could not be fetched: {error}; check the network, or give a file") from None
    _check(path, digits)
    return path


def downloaded(repo: str, file: str, revision: str) -> Path:
    """A file of a repository, from the hub's cache or fetched; in the cache it goes by its digest."""
    from huggingface_hub import errors, hf_hub_download, try_to_load_from_cache  # an extra of its own

    reason = "HF_HUB_OFFLINE forbids to fetch it" if offline() else "the hub cannot be reached"
    absent = WeightsError(
        f"{repo} is not in the cache and {reason}; where there is a network: {how_to_fetch(repo)}; or give a file"
    )
    if not offline() and not isinstance(try_to_load_from_cache(repo, file, revision=revision or None), str):
        try:  # once; the library asks five times more, and tells of each
            _refused_by_hub(f"{repo}@{revision}")
        except OSError:
            raise absent from None
    try:
        path = Path(hf_hub_download(repo, file, revision=revision or None))
    except errors.LocalEntryNotFoundError:
        raise absent from None
    except errors.RepositoryNotFoundError:
        raise WeightsError(f"the hub has no repository {repo}, or it is private; check the name") from None
    except errors.EntryNotFoundError:
        raise WeightsError(f"{repo} has no {file}; other formats are not read, because they can hold code") from None
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
        raise WeightsError(f"{repo} could not be fetched: {str(error).splitlines()[0]}") from None
    if re.fullmatch(r"[0-9a-f]{64}", blob := path.resolve().name):
        _check(path, blob)
    return path


def _check(path: Path, digits: str) -> None:
    digest = sha256(path)
    if not digest.startswith(digits):
        raise WeightsError(
            f"{path} is not what was published: its SHA-256 begins {digest[:8]} and not {digits[:8]}; "
            "remove the file to fetch it again"
        )
