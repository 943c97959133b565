// store-simulate: plays seeds on all cores for some seconds, and prints what it finds: the seed, and
// the history, shortened.
//
//     store-simulate --seconds 60 [--seed 1] [--threads 2]    seeds from 1 on
//     store-simulate --replay 17 [--all]                      one seed; --all: without shortening

import Glibc
import Primitives
import StoreSimulation
import Synchronization

/// A line at once, also into a pipe.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func option(_ name: String) -> Int? {
    guard let at = CommandLine.arguments.firstIndex(of: "--\(name)"),
        at + 1 < CommandLine.arguments.count
    else { return nil }
    return Int(CommandLine.arguments[at + 1])
}

func report(_ seed: UInt64, _ found: PlayResult, isWhole: Bool) throws {
    say("seed \(seed): \(found.fault ?? "nothing") (at act \(found.act))")
    if isWhole {
        _ = try Player.play(seed: seed) { say($0) }
        return
    }
    guard found.fault != nil else { return }
    let (acts, outcome) = try Player.shorten(seed: seed, found)
    say("shortened to \(acts.count) acts: \(outcome.fault ?? "")")
    _ = try Player.play(seed: seed, acts: acts) { say($0) }
}

if let seed = option("replay") {
    Player.watchedKey = option("key")
    let seed = UInt64(seed)
    let found = try Player.play(seed: seed)
    try report(seed, found, isWhole: CommandLine.arguments.contains("--all"))
    exit(found.fault == nil ? 0 : 1)
}

let end = Clock.monotonicNanoseconds() + UInt64(option("seconds") ?? 60) * 1_000_000_000
let next = Atomic<Int>(option("seed") ?? 1)
let sums = Mutex<(seeds: Int, lives: Int, operations: Int, hits: Int, faults: [UInt64])>(
    (0, 0, 0, 0, []))
let faultsMax = option("faults") ?? 1

func work() {
    while Clock.monotonicNanoseconds() < end, sums.withLock({ $0.faults.count }) < faultsMax {
        let seed = UInt64(next.add(1, ordering: .relaxed).oldValue)
        do {
            let outcome = try Player.play(seed: seed)
            sums.withLock { sums in
                sums.seeds += 1
                sums.lives += outcome.lives
                sums.operations += outcome.operations
                sums.hits += outcome.hits
                if let fault = outcome.fault {
                    sums.faults.append(seed)
                    say("seed \(seed) act \(outcome.act): \(fault)")
                }
            }
        } catch {
            say("seed \(seed): \(error)")
            exit(2)
        }
    }
}

var threads = ThreadBox()
for _ in 0..<(option("threads") ?? 2) {
    threads.append(try Thread(name: "play") { work() })
}
threads.joinAll()
let (seeds, lives, operations, hits, faults) = sums.withLock { $0 }
say(
    "\(seeds) seeds, \(lives) lives, \(operations) operations, \(hits) with effect, "
        + "\(faults.count) faults")
if let seed = faults.min(), option("quiet") == nil {
    try report(seed, try Player.play(seed: seed), isWhole: false)
}
exit(faults.isEmpty ? 0 : 1)
