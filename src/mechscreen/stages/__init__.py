"""Stages: files in, files out; the only code that knows both MPI and files."""
