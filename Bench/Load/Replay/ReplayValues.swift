// ReplayValues: the bytes of a replayed value, whose size and key come from the trace.
//
// Values of 32 bytes and more are laid out as ValueText draws them, so that ValueReader reads
// them. Shorter ones have no room for a header: they are digits that follow from the key, the
// run and the version. Being digits, they can be incremented.

internal import Memcache
internal import Primitives

/// Writes values of any size up to a limit; one thread.
struct ReplayValues: BitwiseCopyable {
    private let text: ValueText
    /// Tells this run's values from those of others.
    let run: UInt32
    private let isChecked: Bool

    init(byteCountMax: Int, run: UInt32, isChecked: Bool) throws(MemoryError) {
        self.run = run
        self.isChecked = isChecked
        text = try ValueText(bytesMax: byteCountMax)
    }

    /// The key as values name it: half of its object's number, mixed.
    @inline(__always)
    static func keyMark(_ object: UInt64) -> UInt32 {
        UInt32(truncatingIfNeeded: RandomStream.mix(object))
    }

    /// Appends the value of an object, `byteCount` bytes of it, as its version.
    @inline(__always)
    func append(_ object: UInt64, version: UInt32, byteCount: Int, to writer: inout ByteWriter) {
        precondition(byteCount <= text.bytesMax)
        guard byteCount >= ValueText.headerBytes else {
            let seed = Self.seed(object, run, version)
            for index in 0..<byteCount { writer.append(Self.digit(seed, index)) }
            return
        }
        guard isChecked else { return text.append(byteCount: byteCount, to: &writer) }
        text.append(
            Self.keyMark(object), byteCount: byteCount, run: run, version: version, to: &writer)
    }

    @inline(__always)
    static func seed(_ object: UInt64, _ run: UInt32, _ version: UInt32) -> UInt64 {
        RandomStream.mix(object ^ UInt64(run) << 32 ^ UInt64(version))
    }

    /// A digit of a short value. The first is never 0, nor so high that twenty of them would
    /// exceed 64 bits.
    @inline(__always)
    static func digit(_ seed: UInt64, _ index: Int) -> UInt8 {
        guard index > 0 else { return 0x31 }
        let mixed = RandomStream.mix(seed &+ UInt64(truncatingIfNeeded: index))
        return 0x30 &+ UInt8(truncatingIfNeeded: mixed % 8)
    }
}

/// Compares a short value with what it should be, as it comes, in parts of any size.
struct ShortValueReader: BitwiseCopyable {
    private var seed: UInt64 = 0
    private var position = 0
    private(set) var isEqual = true

    init() {}
    init(_ object: UInt64, run: UInt32, version: UInt32) {
        seed = ReplayValues.seed(object, run, version)
    }

    mutating func take(_ part: Span<UInt8>) {
        for index in 0..<part.count {
            isEqual = isEqual && part[index] == ReplayValues.digit(seed, position &+ index)
        }
        position &+= part.count
    }
}
