"""Inference: from pixels to faces and names, with ONNX Runtime. Imports neither torch nor a web framework."""
