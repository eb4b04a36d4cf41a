"""A study of discovery: the tables and figures of Hu et al. (2021), the dysts systems, actin; beside other methods."""
