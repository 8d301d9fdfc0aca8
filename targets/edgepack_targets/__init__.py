"""What runs in someone else's Python: one folder per target, and the loaders of source models.

Importing any of these modules imports nothing but the standard library: the host reads their data,
the workers call their functions.
"""
