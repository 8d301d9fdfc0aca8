"""Proving that a generated app is well, as far as that can be done without Google's and Apple's servers.

`ladder.climb` goes up rung by rung: rendered, parsed, resources linked, type-checked, core tested, assembled.
"""
