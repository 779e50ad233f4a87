from __future__ import annotations

from torch import nn

from .config import Config


class Transformer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.toy = nn.Linear(config.width, config.width, bias=False)
