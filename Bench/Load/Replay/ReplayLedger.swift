// ReplayLedger: what the server has acknowledged of each key, where values are verified.
//
// A key's requests all go over one connection and are answered in order. So when the reply to a
// get is read, the ledger holds exactly what the server had acknowledged before it came to that
// get: a value must be of that version, neither older nor newer. (ValueLedger is the like for
// `run`, where gets of a key come from all connections.)

internal import Primitives

/// What a value of a key must be.
enum Acknowledged: Equatable {
    /// Nothing is known: this run has not changed the key, or the table is full, or the last
    /// change failed or was made in place (append, prepend, incr, decr).
    case anything
    /// This version, of so many bytes.
    case value(version: UInt32, bytes: UInt32)
    /// Nothing: this version was a delete.
    case nothing(version: UInt32)
}

/// Versions of the keys of one worker; a table of bounded size, one thread.
struct ReplayLedger: BitwiseCopyable {
    private struct Slot: BitwiseCopyable {
        var object: UInt64
        /// 0 where nothing is, or was acknowledged.
        var version: UInt32
        var bytes: UInt32
        var state: UInt32
        var isUsed: UInt32
    }

    /// Keys whose versions are kept by each worker; of others, values are checked for being
    /// whole and of their key, not for being new.
    static let keysMax = 1 << 23
    private static let (known, deleted, unknown) = (UInt32(1), UInt32(2), UInt32(3))

    private let slots: Table<Slot>
    private let limit: Int
    private var used = 0

    init(keysMax: Int = Self.keysMax) throws(MemoryError) {
        limit = keysMax
        var count = 64
        while count < keysMax + keysMax / 2 { count *= 2 }
        slots = try Table(count: count)
    }

    /// Whether keys had to be left out.
    private(set) var isFull = false

    func find(_ object: UInt64) -> Acknowledged {
        let slot = slots[place(object)]
        guard slot.isUsed != 0 else { return .anything }
        switch slot.state {
        case Self.known: return .value(version: slot.version, bytes: slot.bytes)
        case Self.deleted: return .nothing(version: slot.version)
        default: return .anything
        }
    }

    /// Whether this run has changed the key in a way that the ledger knows of.
    func knows(_ object: UInt64) -> Bool { slots[place(object)].isUsed != 0 }

    mutating func acknowledge(_ object: UInt64, version: UInt32, bytes: UInt32) {
        note(object, version, bytes, Self.known)
    }
    mutating func forget(_ object: UInt64, version: UInt32) {
        note(object, version, 0, Self.deleted)
    }
    mutating func blur(_ object: UInt64) { note(object, 0, 0, Self.unknown) }

    private mutating func note(
        _ object: UInt64, _ version: UInt32, _ bytes: UInt32, _ state: UInt32
    ) {
        let index = place(object)
        if slots[index].isUsed == 0 {
            guard used < limit else {
                isFull = true
                return
            }
            used += 1
        }
        slots[index] = Slot(
            object: object, version: version, bytes: bytes, state: state, isUsed: 1)
    }

    /// Where an object is, or would be.
    private func place(_ object: UInt64) -> Int {
        let mask = slots.count - 1
        var index = Int(truncatingIfNeeded: RandomStream.mix(object)) & mask
        while slots[index].isUsed != 0, slots[index].object != object {
            index = (index + 1) & mask
        }
        return index
    }

    /// What is wrong with a value that came for an object; nil if nothing is.
    ///
    /// - Parameters:
    ///   - reader: What read it, if it has a header.
    ///   - short: What compared it with the version that is due, if it has none.
    func judge(
        _ object: UInt64, _ reader: ValueReader, _ short: ShortValueReader, byteCount: Int,
        run: UInt32
    ) -> BadValue? {
        let due = find(object)
        if case .value(_, let bytes) = due, byteCount != Int(bytes) {
            return .size(byteCount, wanted: Int(bytes))
        }
        guard byteCount >= ValueText.headerBytes else {
            switch due {
            case .anything: return nil
            case .nothing(let version): return .stale(version: 0, acknowledged: version)
            case .value: return short.isEqual ? nil : .foreign
            }
        }
        if due == .anything { return judgeUnknown(object, reader, run: run) }
        guard let content = reader.content else { return .foreign }
        guard content.isIntact else { return .torn }
        guard content.key == ReplayValues.keyMark(object) else { return .wrongKey(content.key) }
        switch due {
        case .anything: return nil
        case .nothing(let version):
            let found = content.run == run ? content.version : 0
            return .stale(version: found, acknowledged: version)
        case .value(let version, _):
            guard content.run == run else { return .stale(version: 0, acknowledged: version) }
            guard content.version >= version else {
                return .stale(version: content.version, acknowledged: version)
            }
            return content.version == version ? nil : .unwritten(version: content.version)
        }
    }

    /// A value of which no version is due. It may be another run's or another client's, or one
    /// that was changed in place; but one that is whole must not be of another key, nor be this
    /// run's if this run never wrote the key.
    private func judgeUnknown(_ object: UInt64, _ reader: ValueReader, run: UInt32) -> BadValue? {
        guard !knows(object), let content = reader.content, content.isIntact else { return nil }
        guard content.key == ReplayValues.keyMark(object) else { return .wrongKey(content.key) }
        return content.run == run && !isFull ? .unwritten(version: content.version) : nil
    }
}
