"""Side-by-side benchmarks: ours and its peers, interleaved in one run on one machine."""
