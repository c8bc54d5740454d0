"""All measurements, one after the other: `make bench`."""

from benchmarks import learners, peers, solvers, sweep

for part in (solvers, peers, sweep, learners):
    print(f"\n## {part.__name__}\n")
    part.main()
