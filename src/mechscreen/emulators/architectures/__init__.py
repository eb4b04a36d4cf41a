"""The networks that a campaign can choose from, one module each. Imports nothing heavy."""
