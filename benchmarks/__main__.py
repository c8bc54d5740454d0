"""All measurements, one after the other: `make bench`."""

from benchmarks import peers, solvers, sweep

for part in (solvers, peers, sweep):
    print(f"\n## {part.__name__}\n")
    part.main()
