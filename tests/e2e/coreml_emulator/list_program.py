"""Prints the program of a package, which needs neither torch nor coremltools. Argument: its path."""

from __future__ import annotations

import sys
from pathlib import Path

from edgepack_targets.coreml import listing, package

if __name__ == "__main__":
    sys.stdout.write("\n".join(listing.lines(package.read(Path(sys.argv[1])).spec)))
    assert not {"torch", "coremltools"} & set(sys.modules)
