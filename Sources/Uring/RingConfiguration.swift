// RingConfiguration: how large a ring is, what that costs, and how it gets by with less.

/// How large a ring is.
public struct RingConfiguration: BitwiseCopyable, Sendable, Equatable {
    /// Operations that can be queued between two submits without an extra system call; a power
    /// of two, at most 32768.
    public var entries: Int
    /// Completions that can wait before they cost an extra system call; a power of two.
    public var completions: Int
    /// Provided receive buffers: zero or a power of two, at most 32768.
    public var bufferCount: Int
    /// Bytes in each provided buffer; a multiple of 64.
    public var bufferBytes: Int
    /// Rings that the process makes in all, to share the limit of locked memory among.
    public var ringCount: Int

    public init(
        entries: Int = 1024, completions: Int = 8192, bufferCount: Int = 512,
        bufferBytes: Int = 16 << 10, ringCount: Int = 1
    ) {
        self.entries = entries
        self.completions = completions
        self.bufferCount = bufferCount
        self.bufferBytes = bufferBytes
        self.ringCount = ringCount
    }

    /// A ring that only accepts, waits and wakes: no provided buffers.
    public static var control: RingConfiguration {
        RingConfiguration(entries: 64, completions: 1024, bufferCount: 0, bufferBytes: 64)
    }

    /// Bytes that the kernel locks for the queues, in whole pages: 64 for a submission, 16 for a
    /// completion, 4 to name a submission, 16 to lend a buffer, and the heads of the queues.
    public var lockedBytes: Int {
        func pages(_ bytes: Int) -> Int { (bytes + 4095) / 4096 * 4096 }
        return pages(entries * 64) + pages(320 + completions * 16 + entries * 4)
            + pages(bufferCount * 16)
    }

    /// Makes the ring no larger than its share of a limit, as far as that can be.
    package mutating func fit(lockedBytes limit: Int) {
        precondition(ringCount > 0)
        while lockedBytes > limit / ringCount, shrink() {}
    }

    /// One step smaller; false at the smallest size. What is large goes first.
    package mutating func shrink() -> Bool {
        let before = lockedBytes
        while lockedBytes == before {
            if completions > Self.completionsMin, completions * 16 >= entries * 64 {
                completions /= 2
                entries = min(entries, completions)
            } else if entries > Self.entriesMin {
                entries /= 2
            } else if bufferCount > Self.buffersMin {
                bufferCount /= 2
            } else {
                return false
            }
        }
        return true
    }

    /// The smallest queues: a page each.
    static let entriesMin = 64
    static let completionsMin = 128
    static let buffersMin = 256

    /// Traps if a size is not what its comment says: a mistake of ours, made at the start.
    public func check() {
        func isPowerOfTwo(_ value: Int) -> Bool { value > 0 && value & (value - 1) == 0 }
        precondition(isPowerOfTwo(entries) && entries <= 32768)
        precondition(isPowerOfTwo(completions) && completions >= entries)
        precondition(completions <= 65536)
        precondition(bufferCount == 0 || isPowerOfTwo(bufferCount))
        precondition(bufferCount <= 32768)
        precondition(bufferBytes > 0 && bufferBytes % 64 == 0 && bufferBytes <= 1 << 24)
        precondition(ringCount > 0)
    }
}
