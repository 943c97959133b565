// TraceRequest: one request of a trace, as a small value that passes from the reader to a worker.
//
// Keys are numbers of 64 bits from here on: the object's number, or the hash of the key's text.

/// What a request of a trace asks for.
public enum TraceOperation: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    case get, gets, set, add, replace, cas, append, prepend, delete, incr, decr
    /// The set that follows a miss; no trace has it.
    case fill

    /// As Twitter's traces spell it.
    public var name: String {
        switch self {
        case .get: "get"
        case .gets: "gets"
        case .set: "set"
        case .add: "add"
        case .replace: "replace"
        case .cas: "cas"
        case .append: "append"
        case .prepend: "prepend"
        case .delete: "delete"
        case .incr: "incr"
        case .decr: "decr"
        case .fill: "fill"
        }
    }

    /// Whether it reads a value: what a hit ratio is made of.
    @inline(__always)
    public var isGet: Bool { self == .get || self == .gets }

    /// Whether it carries a value.
    @inline(__always)
    public var isStore: Bool {
        switch self {
        case .set, .add, .replace, .cas, .append, .prepend, .fill: true
        default: false
        }
    }
}

/// One request. Plain data, 40 bytes.
public struct TraceRequest: BitwiseCopyable, Equatable, Sendable {
    /// What tells its object from all others.
    public var object: UInt64 = 0
    /// Seconds, as the trace has them.
    public var time: UInt64 = 0
    /// Nanoseconds after the first request at which it is due; 0 where nothing is paced.
    public var dueAt: UInt64 = 0
    public var valueBytes: UInt32 = 0
    /// Seconds until what it stores expires, 0 for never.
    public var ttlSeconds: UInt32 = 0
    /// The stretch of the report that it belongs to.
    public var interval: UInt32 = 0
    public var keyBytes: UInt8 = 0
    public var operation = TraceOperation.get
    /// Whether the trace knows the object's size; if not, a miss cannot be filled.
    public var hasSize = true

    public init() {}

    /// Key and value together.
    @inline(__always)
    public var objectBytes: UInt64 { UInt64(keyBytes) &+ UInt64(valueBytes) }
}

/// What is wrong with a trace, and where. One line for the user.
public struct TraceFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// "line" or "record".
    public let unit: String
    /// Which one, from 1.
    public let number: UInt64
    public let reason: String

    public init(unit: String, number: UInt64, reason: String) {
        self.unit = unit
        self.number = number
        self.reason = reason
    }

    public var description: String { "trace \(unit) \(number): \(reason)" }
}
