"""`peftlab-data cache`: what this machine keeps of decoded pictures and frozen outputs, and an end to it."""

from contextlib import suppress

from peftlab.inputs.cache import cache_folder, cached_files, sizes
from peftlab.inputs.cache_size import limit_bytes


def show_cache(*, clear: bool) -> list[str]:
    """Lines for people; `clear` removes the files, and no other that lies there."""
    folder = cache_folder()
    if folder is None:
        return ["cache: off (PEFTLAB_CACHE)"]
    lines = [f"cache: {folder}, at most {limit_bytes() / 2**30:g} GiB (PEFTLAB_CACHE_GB)"]
    lines += [f"{kind}: {number:,} files, {taken / 2**20:.1f} MiB" for kind, number, taken in sizes(folder)]
    if clear:
        number = 0
        for file in cached_files(folder):
            with suppress(FileNotFoundError):
                file.unlink()
                number += 1
        lines.append(f"removed: {number:,} files")
    return lines
