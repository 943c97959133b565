// Support: what the tests of the ring share, and how they skip where io_uring is refused.

import Glibc
import Primitives
import Synchronization
import Testing
import Uring

/// Why this machine has no ring, or nil. Printed once, so that a skip is seen.
let ringRefusal: String? = {
    do throws(RingError) {
        _ = try KernelRing(configuration: .small())
        return nil
    } catch {
        let reason = error.explanation
        print("skipped: the tests of the kernel's ring, \(reason)")
        return reason
    }
}()

extension Trait where Self == ConditionTrait {
    /// Skips, visibly, where the kernel refuses io_uring.
    static var needsRing: ConditionTrait {
        .enabled(if: ringRefusal == nil, "io_uring is refused here")
    }
}

extension RingConfiguration {
    static func small(
        entries: Int = 64, completions: Int = 256, buffers: Int = 16, bytes: Int = 4096
    ) -> RingConfiguration {
        RingConfiguration(
            entries: entries, completions: completions, bufferCount: buffers,
            bufferBytes: bytes)
    }
}

extension Region {
    static func pages(_ count: Int) throws -> Region { try map(byteCount: count * 4096) }

    func text(_ offset: Int, _ count: Int) -> String {
        String(decoding: bytes(offset, count), as: UTF8.self)
    }

    func bytes(_ offset: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { uint8(at: offset + $0) }
    }

    func put(_ text: String, at offset: Int = 0) {
        for (index, byte) in text.utf8.enumerated() { store(byte, at: offset + index) }
    }
}

extension Socket {
    /// Sends all of it, blocking.
    func say(_ text: String) throws {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            try #require(count > 0)
            sent += count
        }
    }

    /// Receives exactly `count` bytes, or fewer at the end of the stream; blocking.
    func hear(_ count: Int) -> String {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: count)
        while bytes.count < count {
            let n = recv(descriptor, &chunk, count - bytes.count, 0)
            guard n > 0 else { break }
            bytes += chunk[..<n]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Ring where Self: ~Copyable {
    /// Waits for one completion.
    mutating func await() throws -> Completion {
        while true {
            if let next = nextCompletion() { return next }
            try submit(waiting: true)
        }
    }

    /// Everything that has completed by now.
    mutating func settled() throws -> [Completion] {
        try submit(waiting: false)
        var all: [Completion] = []
        while let next = nextCompletion() { all.append(next) }
        return all
    }
}

func token(_ operation: Token.Operation, _ slot: UInt32 = 1, _ generation: UInt32 = 0) -> Token {
    Token(operation, slot: slot, generation: generation)
}

/// The directory of this run's files; it goes when the process ends.
private let directory: String = {
    var pattern = Array("/tmp/uring-test-XXXXXX".utf8CString)
    guard mkdtemp(&pattern) != nil else { preconditionFailure("no temporary directory") }
    atexit { rmdir(directory) }
    return String(decoding: pattern.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}()

private let pathCount = Atomic<Int>(0)

/// A path that nothing has yet; the test removes what it makes there.
func temporaryPath(_ name: String) -> String {
    let number = pathCount.wrappingAdd(1, ordering: .relaxed).newValue
    return "\(directory)/\(name)\(number)"
}
