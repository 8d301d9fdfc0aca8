"""`python -m edgepack` is `edgepack`."""

from edgepack.cli import main

main()
