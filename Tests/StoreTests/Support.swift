// Support: directories, bytes and log lines for these tests.

import Glibc
import Primitives
import Support

/// A directory of this test's own, removed at the end with the files in it.
typealias Scratch = Support.Scratch

extension Scratch {
    /// A new directory with a copy of this one's data file as it is now.
    func copy() -> Scratch {
        let other = Scratch()
        let source = open(path + "/data.mdb", O_RDONLY)
        let target = open(other.path + "/data.mdb", O_WRONLY | O_CREAT, 0o600)
        defer {
            close(source)
            close(target)
        }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = read(source, &buffer, buffer.count)
            guard count > 0 else { break }
            precondition(write(target, buffer, count) == count)
        }
        return other
    }
}

/// `count` bytes that follow from `seed`.
func pattern(_ seed: UInt64, _ count: Int) -> [UInt8] {
    var chance = Chance(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        withUnsafeBytes(of: chance.next()) { bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

func text(_ string: String) -> [UInt8] { Array(string.utf8) }

/// Log lines of one store.
final class Lines: Sendable {
    private let lines = Guarded<[String]>([])
    var events: EventLog {
        EventLog(threshold: .info) { [self] level, line in
            lines.withLock { $0.append("\(level) \(line)") }
        }
    }
    /// A copy made under the lock: that an array is nobody else's any more is read off a count
    /// that the thread sanitizer does not see.
    var all: [String] { lines.withLock { $0.map { $0 } } }
    func contains(_ part: String) -> Bool {
        lines.withLock { $0.contains { $0.contains(part) } }
    }
}

/// How much work: 1, or what BRIM_TEST_SEEDS says.
let effort = getenv("BRIM_TEST_SEEDS").flatMap { Int(String(cString: $0)) } ?? 1

/// Waits until `condition` holds, at most so long; answers whether it did.
func eventually(seconds: Double = 20, _ condition: () -> Bool) -> Bool {
    let end = Clock.monotonicNanoseconds() + UInt64(seconds * 1e9)
    while !condition() {
        if Clock.monotonicNanoseconds() > end { return false }
        Pause.short()
    }
    return true
}

/// A line for whoever waits for a long run.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}
