// KeyState: what a key may hold, and what one answered request says of that: what it demands of the
// state before it, and which state it leaves.
//
// Rules only; which orders of requests are possible is `KeyLaw`'s business.

import StoreSimulation

/// A value. Its expiry is known as far as the second is in which the command was executed.
struct KeyValue: Hashable {
    var bytes: [UInt8]
    var flags: UInt32
    /// 0...0: never.
    var expiry: ClosedRange<UInt32>
    /// It is to be renewed.
    var isStale = false
    /// Somebody has won it, and is to renew it.
    var isSent = false

    /// The expiry is looked at first, the bytes last.
    static func == (one: KeyValue, other: KeyValue) -> Bool {
        one.expiry == other.expiry && one.flags == other.flags
            && one.isStale == other.isStale && one.isSent == other.isSent
            && one.bytes == other.bytes
    }

    /// What tells most values from each other: all bytes would take as long as comparing does.
    func hash(into hasher: inout Hasher) {
        hasher.combine(expiry.lowerBound)
        hasher.combine(bytes.count)
        for at in stride(from: 0, to: bytes.count, by: bytes.count / 16 + 1) {
            hasher.combine(bytes[at])
        }
    }

    /// Whether some moment of an interval that begins in this second finds it alive.
    func isAlive(at seconds: ClosedRange<UInt32>) -> Bool {
        expiry.upperBound == 0 || expiry.upperBound > seconds.lowerBound
    }

    /// Whether some moment up to this second finds it expired.
    func mayBeExpired(by second: UInt32) -> Bool {
        expiry.upperBound != 0 && expiry.lowerBound <= second
    }

    /// Whether a meta get in some of these seconds wins it; nil: it may or may not.
    ///
    /// - Parameter recache: It wins also what expires in fewer seconds than these.
    func isWon(at seconds: ClosedRange<UInt32>, recache: UInt32?) -> Bool? {
        if isSent { return false }
        if isStale { return true }
        guard let recache, expiry.upperBound != 0 else { return false }
        if expiry.upperBound < seconds.lowerBound + recache { return true }
        return expiry.lowerBound < seconds.upperBound + recache ? nil : false
    }
}

/// A state: a value, or nothing.
typealias KeyState = KeyValue?

/// What a get showed.
struct Shown {
    var bytes: [UInt8]
    var flags: UInt32
    /// Seconds to live, -1: for ever; nil: not told.
    var lifetime: Int64?
    /// Nil: not told, as in all dialects but one.
    var marks: ShownMarks?

    var isWon: Bool { marks?.isWon ?? false }
}

/// What a meta get tells of its item: X, W and Z.
struct ShownMarks {
    var isStale = false
    var isWon = false
    var wasSent = false
    /// What it asked for.
    var recache: UInt32?

    func fit(_ value: KeyValue, _ seconds: ClosedRange<UInt32>) -> Bool {
        let expected = value.isWon(at: seconds, recache: recache)
        return value.isStale == isStale && value.isSent == wasSent && expected ?? isWon == isWon
    }
}

/// What an answer says.
enum Effect {
    /// A value was answered.
    case read(Shown)
    /// Nothing is there: told of only where nothing may be lost.
    case absent
    /// Something is there.
    case present
    /// Something is there that is not this.
    case other(than: [UInt8])
    /// Whatever was there, it is this now; nil: it is dead on arrival.
    case put(KeyState)
    case replace(KeyState)
    case swap([UInt8], KeyState)
    case join([UInt8], isPrepend: Bool)
    /// Nil: the answer was not told.
    case count(UInt64, isDecrement: Bool, sum: UInt64?)
    /// Nil: it is dead from now on.
    case expire(ClosedRange<UInt32>?, wins: Bool)
    case readAndExpire(Shown, ClosedRange<UInt32>?)
    case remove
    /// A get that was not answered may have won it.
    case win(recache: UInt32?)
    /// It is stale from now on; nil: it expires as before.
    case invalidate(ClosedRange<UInt32>?, strips: Bool)
    /// What is older than the value takes its place, stale.
    case overtake([UInt8], flags: UInt32)

    /// Whether it leaves another state behind.
    var isChange: Bool {
        switch self {
        case .read(let shown): shown.isWon
        case .absent, .present, .other: false
        default: true
        }
    }

    /// What it leaves of a state, nil if that cannot have been there; the request was executed in
    /// one of `seconds`, and it had been `latest` before.
    func apply(
        _ state: KeyState, at seconds: ClosedRange<UInt32>, latest: UInt32
    ) -> KeyState? {
        let alive = state.flatMap { $0.isAlive(at: seconds) ? $0 : nil }
        switch self {
        case .put(let new): return .some(new)
        case .remove: return .some(nil)
        case .absent:
            let isThere = state.map { !$0.mayBeExpired(by: latest) } ?? false
            return isThere ? nil : .some(state)
        default: break
        }
        guard var value = alive else { return nil }
        switch self {
        case .present: return .some(state)
        // What was marked as stale has another cas, and the same bytes.
        case .other(let bytes):
            return value.bytes == bytes && !value.isStale ? nil : .some(state)
        case .read(let shown):
            guard Self.fits(value, shown, seconds) else { return nil }
            if shown.isWon { value.isSent = true }
            return .some(value)
        case .replace(let new): return .some(new)
        case .swap(let bytes, let new): return value.bytes == bytes ? .some(new) : nil
        case .join(let bytes, let isPrepend):
            value.bytes = isPrepend ? bytes + value.bytes : value.bytes + bytes
            (value.isStale, value.isSent) = (false, false)
            return .some(value)
        case .count(let delta, let isDecrement, let sum):
            let counted = StoreSimulation.count(value.bytes, by: delta, isDecrement: isDecrement)
            guard let counted, sum == nil || sum == counted.sum else { return nil }
            // One that does not fit there begins anew.
            if counted.bytes.count > value.bytes.count {
                (value.isStale, value.isSent) = (false, false)
            }
            value.bytes = counted.bytes
            return .some(value)
        case .expire(let expiry, let wins):
            if wins, value.isStale { value.isSent = true }
            return .some(Self.expiring(value, expiry))
        case .readAndExpire(let shown, let expiry):
            guard Self.fits(value, shown, seconds) else { return nil }
            if shown.isWon { value.isSent = true }
            return .some(Self.expiring(value, expiry))
        case .win(let recache):
            guard value.isWon(at: seconds, recache: recache) != false else { return nil }
            value.isSent = true
            return .some(value)
        case .invalidate(let expiry, let strips):
            if strips { (value.bytes, value.flags) = ([], 0) }
            value.expiry = expiry ?? (strips ? 0...0 : value.expiry)
            (value.isStale, value.isSent) = (true, false)
            return .some(value)
        case .overtake(let bytes, let flags):
            (value.bytes, value.flags, value.isStale) = (bytes, flags, true)
            return .some(value)
        case .put, .remove, .absent: return nil
        }
    }

    private static func expiring(_ value: KeyValue, _ expiry: ClosedRange<UInt32>?) -> KeyState {
        guard let expiry else { return nil }
        var value = value
        value.expiry = expiry
        return value
    }

    private static func fits(
        _ value: KeyValue, _ shown: Shown, _ seconds: ClosedRange<UInt32>
    ) -> Bool {
        guard value.flags == shown.flags, value.bytes == shown.bytes,
            shown.marks?.fit(value, seconds) ?? true
        else { return false }
        guard let lifetime = shown.lifetime else { return true }
        if lifetime < 0 { return value.expiry.upperBound == 0 }
        return value.expiry.upperBound != 0
            && Int64(value.expiry.upperBound) >= lifetime + Int64(seconds.lowerBound)
            && Int64(value.expiry.lowerBound) <= lifetime + Int64(seconds.upperBound)
    }
}

func describe(_ bytes: [UInt8]) -> String {
    let head = bytes.prefix(16).map { byte -> String in
        byte >= 32 && byte < 127 ? String(UnicodeScalar(byte)) : "."
    }
    return "'\(head.joined())' (\(bytes.count) bytes)"
}

func describe(_ state: KeyState) -> String {
    guard let value = state else { return "nothing" }
    return "\(describe(value.bytes)) flags \(value.flags) expiry \(value.expiry.upperBound)"
        + (value.isStale ? " stale" : "") + (value.isSent ? " sent" : "")
}

private func describe(_ marks: ShownMarks?) -> String {
    guard let marks else { return "" }
    return (marks.isWon ? " W" : "") + (marks.isStale ? " X" : "") + (marks.wasSent ? " Z" : "")
}

func describe(_ effect: Effect) -> String {
    switch effect {
    case .read(let shown):
        "get \(describe(shown.bytes)) lifetime \(shown.lifetime ?? -2)\(describe(shown.marks))"
    case .overtake(let bytes, _): "overtaken by \(describe(bytes))"
    case .put(let state): "put \(describe(state))"
    case .replace(let state): "replace by \(describe(state))"
    case .swap(let bytes, let state): "cas of \(describe(bytes)) by \(describe(state))"
    case .join(let bytes, let isPrepend): "\(isPrepend ? "prepend" : "append") \(describe(bytes))"
    case .other(let bytes): "not \(describe(bytes))"
    case .readAndExpire(let shown, let expiry):
        "gat \(describe(shown.bytes)) to \(expiry?.upperBound ?? 1)\(describe(shown.marks))"
    default: "\(effect)"
    }
}
