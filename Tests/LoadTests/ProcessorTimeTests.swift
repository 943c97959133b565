// ProcessorTimeTests: the processor time of a process is what the kernel's files say, and threads
// that ended keep theirs.

import Glibc
import Load
import Primitives
import Synchronization
import Testing

/// Spins for so many milliseconds of a core.
private func spin(milliseconds: UInt64) {
    let end = ProcessorTime.ofThisThread() + milliseconds * 1_000_000
    while ProcessorTime.ofThisThread() < end {}
}

/// The first numbers of /proc/PID/task/*/schedstat, summed.
private func scheduled(_ id: Int32) -> UInt64 {
    SystemTree.names(in: "/proc/\(id)/task").reduce(0) { sum, task in
        let text = SystemTree.text("/proc/\(id)/task/\(task)/schedstat") ?? ""
        return sum + (text.split(separator: " ").first.flatMap { UInt64($0) } ?? 0)
    }
}

@Suite(.serialized) struct ProcessorTimeTests {
    @Test func processorTimeAgreesWithSchedstat() throws {
        // A child of one thread, which both ways must see alike.
        let child = try Child("/bin/sh", ["-c", "while :; do :; done"])
        defer { child.end() }
        let process = try #require(ServerProcess(id: child.id))
        // The child goes on between two looks, so the files are looked at between two of the clock.
        func look() throws -> (least: UInt64, file: UInt64, most: UInt64) {
            let least = try #require(process.processorNanoseconds)
            let file = scheduled(child.id)
            return (least, file, try #require(process.processorNanoseconds))
        }
        let before = try look()
        spin(milliseconds: 200)
        let after = try look()
        let files = Double(after.file - before.file)
        let least = Double(after.least) - Double(before.most)
        let most = Double(after.most) - Double(before.least)
        // The files lag by up to a tick while a thread runs.
        #expect(files > least - 20e6 - 0.1 * most)
        #expect(files < most + 20e6 + 0.1 * most)
        #expect(most > 1e6)
    }

    /// The generator's own share of a core is taken from this clock.
    @Test func timeOfAThreadAgreesWithSchedstat() throws {
        let seen = Mutex<(clock: UInt64, file: UInt64)>((0, 0))
        try Thread(name: "spinner") {
            spin(milliseconds: 200)
            let own = SystemTree.target(ofLink: "/proc/thread-self") ?? ""
            let text = SystemTree.text("/proc/\(own)/schedstat") ?? ""
            let file = text.split(separator: " ").first.flatMap { UInt64($0) } ?? 0
            seen.withLock { $0 = (ProcessorTime.ofThisThread(), file) }
        }.join()
        let (clock, file) = seen.withLock { $0 }
        #expect(clock >= 200_000_000)
        #expect(abs(Double(clock) - Double(file)) < 20e6 + 0.1 * Double(clock))
    }

    @Test func aBusyThreadOfTheGeneratorIsABottleneck() {
        var outcome = Outcome()
        outcome.generatorShares = [0.5, 0.91]
        #expect(outcome.isGeneratorBound)
        outcome.generatorShares = [0.9, 0.9]
        #expect(!outcome.isGeneratorBound)
    }

    @Test func threadsThatEndedKeepTheirTime() throws {
        let process = try #require(ServerProcess(id: getpid()))
        let before = try #require(process.processorNanoseconds)
        for _ in 0..<4 { try Thread(name: "spinner") { spin(milliseconds: 50) }.join() }
        let after = try #require(process.processorNanoseconds)
        #expect(after - before >= 200_000_000)
    }

    @Test func aProcessThatIsNotThereIsNone() {
        #expect(ServerProcess(id: 0) == nil)
        #expect(ServerProcess(id: -5) == nil)
        #expect(ServerProcess(id: .max) == nil)
    }

    @Test func memoryAndThreadsAreThoseOfTheStatusFile() throws {
        let process = try #require(ServerProcess(id: getpid()))
        #expect(try #require(process.residentBytes) > 100_000)
        #expect(try #require(process.threadCount) >= 1)
    }
}
