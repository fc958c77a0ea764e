"""Programs that the benchmarks compare Tagify with."""
