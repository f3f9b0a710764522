"""Studies, engines, benchmarks and the command line. None of this code is carried to a hospital."""
