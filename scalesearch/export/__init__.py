"""Models written for other programs: ONNX, torch.export, safetensors, or one Python file."""

from scalesearch.export.run import ExportOptions, export

__all__ = ["ExportOptions", "export"]
