// main: runs the micro-benchmarks in one process, each some thousand times, and prints
// "name operations" for each. Meant to run under callgrind: see Bench/instructions.py.

internal import Glibc
internal import Primitives

do {
    var meter = try Meter()
    let keys = try Keys(count: 10_000)
    try WireBenchmarks.run(&meter, keys)
    try IndexBenchmarks.run(&meter, keys)
    try LogBenchmarks.run(&meter, keys)
    try DoorBenchmarks.run(&meter, keys)
    try WholeWay.run(&meter, keys)
    // What the loops came to: said, so that no compiler can leave their work out.
    TextFile.writeToStandardError("\(meter.sum)\n")
} catch {
    TextFile.writeToStandardError("brim-micro: \(error)\n")
    exit(1)
}
