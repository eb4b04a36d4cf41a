"""What each kind of file in a folder of results holds: HDF5 files as `ArrayFile`, JSON files as `StageRecord`.

Names in shapes: n, samples; d, parameters; outputs, of the model; shape, what the outputs of a sample take together
(`mechscreen.models.Outputs.shape`); classes, of the objective.
"""
