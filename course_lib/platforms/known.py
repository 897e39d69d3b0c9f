"""Which platforms are known, and which of them laid out a download."""

from types import ModuleType

from . import PlatformError, canvas, classroom50, folders, gradescope, moodle, nbgrader
from .downloads import Download

PLATFORMS: dict[str, ModuleType] = {
    module.__name__.rpartition(".")[2]: module
    for module in (canvas, moodle, gradescope, classroom50, nbgrader, folders)
}
WITH_GRADEBOOK = [name for name, module in PLATFORMS.items() if hasattr(module, "score_column")]


def platform_of(download: Download) -> str:
    """The platform that a download comes from.

    Raises:
        PlatformError: none of them lays it out so, or more than one does.
    """
    found = [name for name, module in PLATFORMS.items() if module.recognises(download)]
    if len(found) > 1 and "folders" in found:
        found.remove("folders")  # what any platform with folders looks like, too
    if len(found) == 1:
        return found[0]
    first = ", ".join(str(file) for file in download.files[:3]) or "no file"
    seen = "; ".join(f"{PLATFORMS[name].SEEN} ({name})" for name in found or PLATFORMS)
    if found:
        raise PlatformError(
            f"{download.name} looks like {' and like '.join(found)}: there are {seen}. "
            "Say which with --from"
        )
    raise PlatformError(
        f"{download.name} looks like no download that is known: it begins with {first}, and known "
        f"are {seen}. Say which it is with --from"
    )
