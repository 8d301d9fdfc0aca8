"""Writes a program that edgepack did not make. Argument: the file to write."""

import sys
from pathlib import Path

import torch
from executorch.exir import to_edge


class Foreign(torch.nn.Module):
    def forward(self, a, b):
        return torch.mm(a, b), a > 0


program = torch.export.export(Foreign(), (torch.randn(2, 3), torch.randn(3, 4)))
Path(sys.argv[1]).write_bytes(to_edge(program).to_executorch().buffer)
