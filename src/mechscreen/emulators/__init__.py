"""Neural emulators: normalised parameters in, profiles out. Arrays only; no files of a campaign, no MPI."""
