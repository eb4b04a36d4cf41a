"""What computes a network's predictions: Keras, OpenVINO, or what installed packages add. Imports nothing heavy."""
