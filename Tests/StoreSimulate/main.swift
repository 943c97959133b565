// store-simulate: plays seeds on several cores for some seconds, and prints what it finds: the
// seed, and the history, shortened. --world store: the store alone; whole: the whole server.
//
//     store-simulate --seconds 60 [--seed 1] [--threads 2] [--world whole]    seeds from 1 on;
//                                                   without --world both worlds take turns
//     store-simulate --replay 17 --world whole [--all] [--key 3]    one seed; --all: without
//                                 shortening, --key: what the store knows of it
// Seeds are played in processes of their own, some in each: a trap ends only one of these.

import Glibc
import Primitives
import StoreSimulation
import Support
import Synchronization
import WholeSimulation

/// A line at once, also into a pipe.
func say(_ line: String, to descriptor: Int32 = 1) {
    let bytes = Array((line + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
}

func option(_ name: String) -> Int? {
    guard let at = CommandLine.arguments.firstIndex(of: "--\(name)"),
        at + 1 < CommandLine.arguments.count
    else { return nil }
    return Int(CommandLine.arguments[at + 1])
}

/// What is played.
enum Stage: String, CaseIterable {
    case store, whole

    var seedsPerProcess: Int { self == .store ? 100 : 20 }
}

func word(_ name: String) -> String? {
    guard let at = CommandLine.arguments.firstIndex(of: "--\(name)"),
        at + 1 < CommandLine.arguments.count
    else { return nil }
    return CommandLine.arguments[at + 1]
}

/// What is found is shortened for a minute at most.
let shorteningNanoseconds: UInt64 = 60_000_000_000

func replay(_ seed: UInt64, on stage: Stage, isUncut: Bool) throws -> Bool {
    stage == .store
        ? try replayStore(seed, isUncut: isUncut) : try replayWhole(seed, isUncut: isUncut)
}

func replayWhole(_ seed: UInt64, isUncut: Bool) throws -> Bool {
    Player.watchedKey = option("key")
    let found = try WholePlayer.play(seed: seed)
    return try tell(
        seed, found, isUncut: isUncut, WholePlayer.acts(seed: seed),
        shorten: { try WholePlayer.shorten(seed: seed, found, replaysMax: .max, until: $0) },
        play: { _ = try WholePlayer.play(seed: seed, acts: $0) { say($0) } })
}

func replayStore(_ seed: UInt64, isUncut: Bool) throws -> Bool {
    Player.watchedKey = option("key")
    let found = try Player.play(seed: seed)
    return try tell(
        seed, found, isUncut: isUncut, Player.acts(seed: seed),
        shorten: { try Player.shorten(seed: seed, found, replaysMax: .max, until: $0) },
        play: { _ = try Player.play(seed: seed, acts: $0) { say($0) } })
}

/// Prints what a seed came to, and its history, shortened if something went wrong. True: nothing.
func tell<Act, Outcome: PlayOutcome>(
    _ seed: UInt64, _ found: Outcome, isUncut: Bool, _ acts: [Act],
    shorten: (() -> Bool) throws -> (acts: [Act], outcome: Outcome), play: ([Act]) throws -> Void
) throws -> Bool {
    say("seed \(seed): \(found.fault ?? "nothing") (at act \(found.act)), \(found)")
    if isUncut {
        try play(acts)
    } else if found.fault != nil {
        let end = Clock.monotonicNanoseconds() + shorteningNanoseconds
        let (fewer, outcome) = try shorten { Clock.monotonicNanoseconds() > end }
        say("shortened to \(fewer.count) acts: \(outcome.fault ?? "")")
        try play(fewer)
    }
    return found.fault == nil
}

/// Numbers of a run, added up over processes.
struct Sums: Sendable {
    var seeds = 0
    var lives = 0
    var operations = 0
    var hits = 0
    /// Of the whole server, which counts them.
    var diskReads = 0
    var faults: [(stage: Stage, seed: UInt64)] = []

    mutating func add(lives: Int, operations: Int, hits: Int, diskReads: Int = 0) {
        seeds += 1
        self.lives += lives
        self.operations += operations
        self.hits += hits
        self.diskReads += diskReads
    }

    /// Adds what another process has printed; false: that is not such a line.
    mutating func add(line: some StringProtocol) -> Bool {
        let numbers = line.split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 5 else { return false }
        seeds += numbers[0] - 1
        add(
            lives: numbers[1], operations: numbers[2], hits: numbers[3], diskReads: numbers[4])
        return true
    }

    var line: String { "\(seeds) \(lives) \(operations) \(hits) \(diskReads)" }
    var words: String {
        "\(seeds) seeds, \(lives) lives, \(operations) operations, \(hits) with effect, "
            + "\(diskReads) reads of the whole server's disk, \(faults.count) faults"
    }
}

/// A process that plays may use so many seconds of a core, however long that takes beside others.
let processSecondsMax = 600

/// Seconds that the processes which have ended used of all cores.
func secondsUsed() -> Int {
    var usage = rusage()
    guard getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage) == 0 else { return 0 }
    return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
}

/// Plays some seeds in this process; each fault is a line, and the last line has the sums.
func playSome(on stage: Stage, from first: Int) throws {
    var sums = Sums()
    for seed in first..<first + stage.seedsPerProcess {
        say("\(seed)", to: 2)
        let fault: String?
        switch stage {
        case .store:
            let result = try Player.play(seed: UInt64(seed))
            sums.add(lives: result.lives, operations: result.operations, hits: result.hits)
            fault = result.fault.map { "act \(result.act): \($0)" }
        case .whole:
            let result = try WholePlayer.play(seed: UInt64(seed))
            sums.add(
                lives: result.lives, operations: result.operations, hits: result.hits,
                diskReads: result.diskReads)
            fault = result.fault.map { "act \(result.act): \($0)" }
        }
        if let fault { say("fault \(seed) \(fault)") }
    }
    say(sums.line)
}

let first = option("seed") ?? 1
let stages = word("world").flatMap { Stage(rawValue: $0) }.map { [$0] } ?? Stage.allCases
let end = Clock.monotonicNanoseconds() + UInt64(option("seconds") ?? 60) * 1_000_000_000
let next = Atomic<Int>(0)
let sums = Mutex(Sums())

/// Starts one process after the other until the time is over, or something was found.
func work() {
    while Clock.monotonicNanoseconds() < end, sums.withLock({ $0.faults.isEmpty }) {
        let number = next.add(1, ordering: .relaxed).oldValue
        let stage = stages[number % stages.count]
        let from = first + number / stages.count * stage.seedsPerProcess
        let arguments = ["--from", "\(from)", "--world", stage.rawValue]
        guard
            let child = try? Child.run(
                "/proc/self/exe", arguments, environment: [:], secondsMax: 24 * 3600)
        else { return say("no process could be started") }
        sums.withLock { sums in
            for line in child.output.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.first == "fault", words.count > 1, let seed = UInt64(words[1]) {
                    say("\(stage): \(line)")
                    sums.faults.append((stage, seed))
                } else {
                    _ = sums.add(line: line)
                }
            }
            guard child.exitCode != 0 else { return }
            let lines = child.errors.split(separator: "\n")
            let last = lines.compactMap { UInt64($0) }.last ?? UInt64(from)
            say("\(stage): seed \(last) ended its process: \(lines.last ?? "")")
            sums.faults.append((stage, last))
        }
    }
}

if let seed = option("replay") {
    let isUncut = CommandLine.arguments.contains("--all")
    let isWell = try replay(UInt64(seed), on: stages[0], isUncut: isUncut)
    exit(isWell ? 0 : 1)
}
if let from = option("from") {
    // A play that never ends is ended.
    var limit = rlimit(
        rlim_cur: rlim_t(processSecondsMax), rlim_max: rlim_t(processSecondsMax))
    guard setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &limit) == 0 else {
        say("no limit could be set", to: 2)
        exit(1)
    }
    try playSome(on: stages[0], from: from)
    exit(0)
}
let threads = ThreadBox()
for _ in 0..<(option("threads") ?? Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) {
    threads.append(try Thread(name: "play") { work() })
}
threads.joinAll()
let total = sums.withLock { $0 }
say("\(total.words), \(secondsUsed()) s of a core")
if let found = total.faults.min(by: { $0.seed < $1.seed }) {
    _ = try replay(found.seed, on: found.stage, isUncut: false)
}
exit(total.faults.isEmpty ? 0 : 1)
