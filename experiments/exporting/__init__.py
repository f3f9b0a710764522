"""A trained network for other programs: ONNX, TorchScript, and a bundle that says what it is and what it is worth."""
