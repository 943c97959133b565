// LoadCommand: the commands that a load sends, whatever the protocol calls them.

/// A command; the raw values are 0 to 7 without a gap.
public enum LoadCommand: UInt8, BitwiseCopyable, CaseIterable, Sendable {
    case get, set, delete, touch
    /// Count up and down, by one, on keys of their own.
    case incr, decr
    /// Stores only where there is nothing.
    case add
    /// Gets one key and gives it a new expiry.
    case gat

    public var name: String {
        switch self {
        case .get: "get"
        case .set: "set"
        case .delete: "delete"
        case .touch: "touch"
        case .incr: "incr"
        case .decr: "decr"
        case .add: "add"
        case .gat: "gat"
        }
    }

    /// Whether it is answered with a value.
    @inline(__always)
    var isRetrieval: Bool { self == .get || self == .gat }
    /// Whether it sends a value.
    @inline(__always)
    var isStorage: Bool { self == .set || self == .add }
    /// Whether it counts.
    @inline(__always)
    var isCounting: Bool { self == .incr || self == .decr }
    /// Whether it may change what a get sees of a value.
    @inline(__always)
    var isChange: Bool { isStorage || self == .delete }
}

/// A number for each command; a trivial value.
public struct CommandCounts: BitwiseCopyable, Equatable, Sendable {
    private var first: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var second: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    public init() {}

    public subscript(_ command: LoadCommand) -> UInt64 {
        @inline(__always) get {
            switch command {
            case .get: first.0
            case .set: first.1
            case .delete: first.2
            case .touch: first.3
            case .incr: second.0
            case .decr: second.1
            case .add: second.2
            case .gat: second.3
            }
        }
        @inline(__always) set {
            switch command {
            case .get: first.0 = newValue
            case .set: first.1 = newValue
            case .delete: first.2 = newValue
            case .touch: first.3 = newValue
            case .incr: second.0 = newValue
            case .decr: second.1 = newValue
            case .add: second.2 = newValue
            case .gat: second.3 = newValue
            }
        }
    }

    /// All commands together.
    public var sum: UInt64 {
        LoadCommand.allCases.reduce(0) { $0 &+ self[$1] }
    }

    public static func += (sum: inout CommandCounts, part: CommandCounts) {
        for command in LoadCommand.allCases { sum[command] &+= part[command] }
    }

    public static func == (one: CommandCounts, other: CommandCounts) -> Bool {
        one.first == other.first && one.second == other.second
    }
}
