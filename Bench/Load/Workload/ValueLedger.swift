// ValueLedger: which version of each key was written, and which the server has acknowledged.
//
// Each key has one connection that changes it, and that connection's changes are in order. So a
// get must not see anything older than what was acknowledged before it was sent, nor anything
// newer than what has been sent when its reply is read. A delete takes a version, too.

internal import Primitives

/// Versions of all keys of one run. Any thread; a key's owner alone changes its words.
///
/// Of each counter it knows the number, if this run has seen or set it: its owner alone counts,
/// and each answer names the number.
struct ValueLedger: BitwiseCopyable, Sendable {
    /// Tells this run's values from those of others.
    let run: UInt32
    private let memory: Region
    /// A word per counter: one more than its number, or 0 where that is not known.
    private let numbers: Region

    init(keyCount: UInt64, counterCount: UInt64, run: UInt32) throws(MemoryError) {
        self.run = run
        memory = try Region.map(byteCount: Int(keyCount) * 8)
        numbers = try Region.map(byteCount: max(Int(counterCount) * 8, 8))
    }

    /// The version for the next change of a key.
    func issue(_ key: UInt32) -> UInt32 {
        let word = memory.atomic32(at: Int(key) * 8)
        let version = word.loadRelaxed() &+ 1
        word.storeRelease(version)
        return version
    }

    func acknowledge(_ key: UInt32, _ version: UInt32) {
        memory.atomic32(at: Int(key) * 8 + 4).storeRelease(version)
    }

    /// The last version that was sent.
    func issued(_ key: UInt32) -> UInt32 { memory.atomic32(at: Int(key) * 8).loadAcquire() }

    /// The last version that was acknowledged; 0 for none.
    func acknowledged(_ key: UInt32) -> UInt32 {
        memory.atomic32(at: Int(key) * 8 + 4).loadAcquire()
    }

    // MARK: Counters

    /// The number of a counter is this from now on; nil where it is not known.
    func setNumber(_ counter: Int, _ number: UInt64?) {
        numbers.store(number.map { $0 &+ 1 } ?? 0, at: counter * 8)
    }

    /// Takes the number that a server answered to incr or decr; what is wrong with it, if it is
    /// not the one that follows from the last.
    func count(_ counter: Int, isDown: Bool, answered number: UInt64) -> BadValue? {
        let known = numbers.uint64(at: counter * 8)
        setNumber(counter, number)
        guard known != 0 else { return nil }
        let last = known &- 1
        let wanted = isDown ? (last > 0 ? last &- 1 : 0) : last &+ 1
        return number == wanted ? nil : .number(number, wanted: wanted)
    }

    // MARK: Judging

    /// What is wrong with a value of a key, whose get was sent when `floor` was acknowledged; nil
    /// if nothing is. A value of another run may have another size.
    func judge(_ value: ValueReader, of key: UInt32, floor: UInt32, byteCount: Int)
        -> BadValue?
    {
        let isSized = value.byteCount == byteCount
        guard let content = value.content, content.isIntact else {
            guard isSized else { return .size(value.byteCount, wanted: byteCount) }
            return value.content == nil ? .foreign : .torn
        }
        guard content.key == key else { return .wrongKey(content.key) }
        guard content.run == run else {
            return floor == 0 ? nil : .stale(version: 0, acknowledged: floor)
        }
        guard isSized else { return .size(value.byteCount, wanted: byteCount) }
        guard content.version >= floor else {
            return .stale(version: content.version, acknowledged: floor)
        }
        return content.version <= issued(key) ? nil : .unwritten(version: content.version)
    }
}

/// What can be wrong with a value.
public enum BadValue: Equatable, Sendable, CustomStringConvertible {
    case size(Int, wanted: Int)
    /// No value that this tool writes when it verifies.
    case foreign
    /// The checksum is not that of the bytes.
    case torn
    /// A whole value, of another key.
    case wrongKey(UInt32)
    /// Older than what was acknowledged before it was asked for; version 0 is another run's.
    case stale(version: UInt32, acknowledged: UInt32)
    case unwritten(version: UInt32)
    /// Of a key that was never set.
    case absent
    /// A counter's number that does not follow from the last one.
    case number(UInt64, wanted: UInt64)

    public var description: String {
        switch self {
        case .size(let bytes, let wanted): "wrong size: \(bytes) bytes, not \(wanted)"
        case .foreign: "wrong: not a value that `--verify` writes (fill with --verify first)"
        case .torn: "torn: its checksum does not match its bytes"
        case .wrongKey(let key): "wrong: it is the value of key number \(key)"
        case .stale(0, let acknowledged):
            "stale: of another run, though version \(acknowledged) was acknowledged"
        case .stale(let version, let acknowledged):
            "stale: version \(version), though version \(acknowledged) was acknowledged"
        case .unwritten(let version): "wrong: version \(version) was never written"
        case .absent: "wrong: nobody sets this key"
        case .number(let number, let wanted): "wrong: the counter is \(number), not \(wanted)"
        }
    }
}
