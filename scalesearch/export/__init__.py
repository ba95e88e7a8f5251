"""Taking a model away: ONNX, torch.export, safetensors, or one Python file."""

from scalesearch.export.run import ExportOptions, export

__all__ = ["ExportOptions", "export"]
