"""Models written for other programs: ONNX, torch.export, safetensors, or one Python file."""

from scalesearch.export.run import Exported, ExportOptions, export

__all__ = ["ExportOptions", "Exported", "export"]
