"""An ensemble as a graph of ONNX: from parameters in the model's units to its outputs in theirs."""
