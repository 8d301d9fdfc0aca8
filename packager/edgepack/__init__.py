"""edgepack takes a trained model to a phone and proves that it still works there."""

__version__ = "0.1.0"
