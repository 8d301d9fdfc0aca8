"""What the host and its workers share: values, their encoding, and the program a worker runs.

Standard library only: these files are mounted by path into environments that hold nothing of ours.
"""
