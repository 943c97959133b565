// Question: one request as bytes, and what it may do to its keys before anybody knows the answer.
//
// What an answer says is in Question+Answer.swift, the words of the meta commands are in
// Question+Meta.swift.

import Support

/// When a value is to expire.
enum Lifetime {
    case ever, dead
    /// A second of the cache's time, sent as the date that it is by the system's clock.
    case until(UInt32, date: Int64)
    case after(UInt32)

    var sent: Int64 {
        switch self {
        case .ever: 0
        case .dead: -1
        case .until(_, let date): date
        case .after(let seconds): Int64(seconds)
        }
    }

    var isDate: Bool {
        if case .until = self { return true }
        return false
    }

    /// The expiry of what is stored in one of these seconds; nil: dead on arrival.
    func expiry(_ seconds: ClosedRange<UInt32>) -> ClosedRange<UInt32>? {
        switch self {
        case .ever: 0...0
        case .dead: nil
        case .until(let second, _): second...second
        case .after(let some): seconds.lowerBound + some...seconds.upperBound + some
        }
    }
}

/// Flags of a meta command beside those that every one of its kind has.
struct MetaFlags {
    /// N: makes what is not there: an empty value, or a number.
    var makes = false
    /// R: wins what expires in fewer seconds.
    var recache: UInt32?
    /// I: what is there becomes stale; or what is stored, if it is older than what is there.
    var invalidates = false
    /// x: the value is taken away.
    var strips = false
    /// E: the cas of what it writes.
    var cas: UInt64?

    var words: String {
        (makes ? " N" : "") + (recache.map { " R\($0)" } ?? "") + (invalidates ? " I" : "")
            + (strips ? " x" : "") + (cas.map { " E\($0)" } ?? "")
    }
}

/// One request.
struct Question {
    enum Verb {
        case get, gets, gat, gats
        case set, add, replace, append, prepend, cas
        case delete, touch, incr, decr
        case flush, flushLater, noop
    }

    enum Dialect {
        case classic, meta, binary
    }

    let verb: Verb
    var keys: [Int]
    var value: [UInt8] = []
    var flags: UInt32 = 0
    var lifetime = Lifetime.ever
    /// What is compared, and what that stood for.
    var cas: UInt64 = 0
    var casBytes: [UInt8]?
    /// What is counted up or down by; the seconds of a later flush.
    var delta: UInt64 = 0
    /// What an incr makes where there is no number; nil: it makes none.
    var initial: UInt64?
    /// What only meta commands have.
    var flagged = MetaFlags()
    /// Nothing is answered, or in the newer dialects only what is not expected.
    var isQuiet = false
    var dialect = Dialect.classic
    /// Of those that its client has asked.
    var number: UInt32 = 0
    /// The key, if it is none of the law's.
    var filler: Int?

    /// Of each key.
    var ids: [Int] = []
    /// With so many bytes of the connection it can be executed.
    var complete = 0
    /// When they were sent.
    var began: (moment: Int, seconds: UInt32)?
    /// A miss would be a fault, as far as is known when it was sent.
    var mustHit = false

    init(_ verb: Verb, _ keys: [Int] = []) {
        self.verb = verb
        self.keys = keys
    }

    var isGet: Bool {
        switch verb {
        case .get, .gets, .gat, .gats: true
        default: false
        }
    }

    var isStoring: Bool {
        switch verb {
        case .set, .add, .replace, .append, .prepend, .cas: true
        default: false
        }
    }

    var isMeta: Bool { dialect == .meta }

    var words: String {
        let name = keys.map(String.init).joined(separator: " ")
        let size = isStoring ? " \(describe(value)) for \(lifetime)" : ""
        let number = verb == .cas ? " \(cas)" : delta != 0 ? " \(delta)" : ""
        let dialect = dialect == .classic ? "" : "\(dialect) "
        return "\(dialect)\(verb) \(name)\(number)\(size)\(flagged.words)"
            + (isQuiet ? " quiet" : "")
    }

    /// With so many of its bytes it may begin. The line of a get is executed key by key, as it
    /// comes; what is refused is, and when it is to expire is counted, when the line is there.
    func bytesToBegin(of bytes: [UInt8]) -> Int {
        if isGet, !isMeta { return 1 }
        let end = dialect == .binary ? 0 : 2
        return isStoring && value.count > 2000 ? bytes.count - value.count - end : bytes.count
    }

    // MARK: Bytes

    /// Of the first keys the hash may be one, see `MemoryHome`.
    static func name(_ key: Int) -> String { key < 3 ? "key:same\(key)" : "key:\(key)" }

    var bytes: [UInt8] {
        if dialect == .binary { return binaryBytes }
        let key = filler.map { "fill:\($0)" } ?? keys.first.map(Self.name) ?? ""
        let quiet = isQuiet ? " noreply" : ""
        guard !isMeta else { return metaBytes(key) }
        let line: String
        switch verb {
        case .get, .gets: line = "\(verb) \(keys.map(Self.name).joined(separator: " "))"
        case .gat, .gats:
            line = "\(verb) \(lifetime.sent) \(keys.map(Self.name).joined(separator: " "))"
        case .set, .add, .replace, .append, .prepend:
            line = "\(verb) \(key) \(flags) \(lifetime.sent) \(value.count)\(quiet)"
        case .cas: line = "cas \(key) \(flags) \(lifetime.sent) \(value.count) \(cas)\(quiet)"
        case .delete: line = "delete \(key)\(quiet)"
        case .touch: line = "touch \(key) \(lifetime.sent)\(quiet)"
        case .incr, .decr: line = "\(verb) \(key) \(delta)\(quiet)"
        case .flush: line = "flush_all\(quiet)"
        case .flushLater: line = "flush_all \(delta)\(quiet)"
        case .noop: line = "mn"
        }
        return Array("\(line)\r\n".utf8) + (isStoring ? value + [13, 10] : [])
    }

    /// Bytes that name the request: wherever a piece lies, it can be told.
    static func value(_ id: Int, _ count: Int) -> [UInt8] {
        let head = Array("v\(id):".utf8)
        guard count > head.count else { return Array(head.prefix(count)) }
        var chance = Chance(seed: UInt64(id))
        var bytes = head
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: chance.next()) { bytes += $0 }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    // MARK: Effects

    func stored(_ seconds: ClosedRange<UInt32>) -> KeyState {
        lifetime.expiry(seconds).map { KeyValue(bytes: value, flags: flags, expiry: $0) }
    }

    /// What a command makes where nothing is: an incr a number, a get something empty, which it
    /// wins.
    func made(_ seconds: ClosedRange<UInt32>) -> KeyState {
        lifetime.expiry(seconds).map {
            KeyValue(
                bytes: initial.map { Array("\($0)".utf8) } ?? [], flags: 0, expiry: $0,
                isSent: isGet)
        }
    }

    private func invalidated(_ seconds: ClosedRange<UInt32>) -> Effect {
        if case .ever = lifetime { return .invalidate(nil, strips: flagged.strips) }
        return lifetime.expiry(seconds).map { .invalidate($0, strips: flagged.strips) } ?? .remove
    }

    /// What it did if it was done.
    func effects(_ seconds: ClosedRange<UInt32>) -> [Effect] {
        switch verb {
        case .noop, .flushLater: []
        case .get, .gets: flagged.makes ? [.put(made(seconds))] : []
        case .gat, .gats: [.expire(lifetime.expiry(seconds), wins: isMeta)]
        case .touch: [.expire(lifetime.expiry(seconds), wins: false)]
        case .set, .add: [.put(stored(seconds))]
        case .replace: [.replace(stored(seconds))]
        case .append, .prepend: [.join(value, isPrepend: verb == .prepend)]
        case .cas:
            (casBytes.map { [.swap($0, stored(seconds))] } ?? [.replace(stored(seconds))])
                + (flagged.invalidates ? [.overtake(value, flags: flags)] : [])
        case .delete where flagged.invalidates: [invalidated(seconds)]
        case .delete, .flush: [.remove]
        case .incr, .decr:
            [.count(delta, isDecrement: verb == .decr, sum: nil)]
                + (initial == nil ? [] : [.put(made(seconds))])
        }
    }

    /// What it may have done if no answer came: a set that fails removes.
    func effectsUnanswered(_ seconds: ClosedRange<UInt32>) -> [Effect] {
        let isLook = isMeta && (verb == .get || verb == .gets)
        return effects(seconds) + (verb == .set ? [.remove] : [])
            + (isLook ? [.win(recache: flagged.recache)] : [])
    }
}
