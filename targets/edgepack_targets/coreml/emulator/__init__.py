"""Evaluates Core ML programs where there is no Core ML, with torch as the engine."""
