"""All measurements, one after the other: `make bench`."""

from benchmarks import crowd, peers, solvers, sweep

for part in (solvers, peers, sweep, crowd):
    print(f"\n## {part.__name__}\n")
    part.main()
