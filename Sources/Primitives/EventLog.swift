// EventLog: where the layers below the command say what happened to the server.
//
// They may not import a logging library, so they are handed one of these; the command bridges it
// to the library. An entry is an event, which has a stable name, and fields. Lifecycle is info,
// one line each. Never a key or a value of a client, and nothing where a request passes: a line
// costs an allocation and a system call.

internal import Synchronization

/// What kind of thing happened: a name that scripts and alarms may rely on, `module.what`.
///
/// Each module declares its events in one file; docs/operating/log.md has a table of all of them.
public struct Event: Sendable {
    public let name: StaticString

    public init(_ name: StaticString) { self.name = name }
}

/// The level that all copies of a log share.
private final class ChosenLevel: Sendable {
    let level: Atomic<UInt8>
    init(_ level: EventLog.Level) { self.level = Atomic(level.rawValue) }
}

/// How many lines a log has had.
public final class LogCounts: Sendable {
    private let levels: Mutex<[Int]>
    private let lost = Atomic<Int>(0)

    public init() { levels = Mutex(Array(repeating: 0, count: EventLog.Level.allCases.count)) }

    /// Events that were written, at this level.
    public func lines(_ level: EventLog.Level) -> Int {
        levels.withLock { $0[Int(level.rawValue)] }
    }
    fileprivate func add(_ level: EventLog.Level) {
        levels.withLock { $0[Int(level.rawValue)] += 1 }
    }

    /// Lines that nobody took.
    public var dropped: Int { lost.load(ordering: .relaxed) }
    /// A line is lost: its sink says so.
    public func addDropped() { lost.wrappingAdd(1, ordering: .relaxed) }
}

/// A sink for events: a plain value that any thread may use.
public struct EventLog: Sendable {
    public enum Level: UInt8, Sendable, Comparable, CaseIterable {
        case trace, debug, info, warning, error

        /// As the log has it.
        public var name: String {
            switch self {
            case .trace: "trace"
            case .debug: "debug"
            case .info: "info"
            case .warning: "warning"
            case .error: "error"
            }
        }

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }

        /// What `-v`, given so many times, asks for.
        public init(verbosity: Int) {
            self = verbosity <= 0 ? .info : verbosity == 1 ? .debug : .trace
        }
    }

    private let sink: @Sendable (Level, String) -> Void
    private let chosen: ChosenLevel
    public let counts: LogCounts
    /// Events below this level are dropped before their text is made.
    public var threshold: Level {
        Level(rawValue: chosen.level.load(ordering: .relaxed)) ?? .info
    }
    /// Changes it for every copy.
    public func setThreshold(_ level: Level) {
        chosen.level.store(level.rawValue, ordering: .relaxed)
    }

    /// A log that hands the line of every event at or above `threshold` to `sink`, on the
    /// caller's thread. A line is the event's name, then its fields.
    public init(
        threshold: Level = .info, counts: LogCounts = LogCounts(),
        _ sink: @escaping @Sendable (Level, String) -> Void
    ) {
        chosen = ChosenLevel(threshold)
        self.counts = counts
        self.sink = sink
    }

    /// A log that forgets everything, for tests.
    public static let silent = EventLog { _, _ in }

    /// Writes one event. Its fields are `name=value`, separated by blanks; a value is a number, a
    /// word, or `\(quoted: text)`.
    public func write(_ level: Level, _ event: Event, _ fields: @autoclosure () -> String = "") {
        guard level >= threshold else { return }
        let fields = fields()
        counts.add(level)
        sink(level, fields.isEmpty ? "\(event.name)" : "\(event.name) \(fields)")
    }

    public func debug(_ event: Event, _ fields: @autoclosure () -> String = "") {
        write(.debug, event, fields())
    }
    public func info(_ event: Event, _ fields: @autoclosure () -> String = "") {
        write(.info, event, fields())
    }
    public func warning(_ event: Event, _ fields: @autoclosure () -> String = "") {
        write(.warning, event, fields())
    }
    public func error(_ event: Event, _ fields: @autoclosure () -> String = "") {
        write(.error, event, fields())
    }
}

extension DefaultStringInterpolation {
    /// Text as the value of a field: in quotation marks. A mark or a backslash within it has a
    /// backslash before it, and the end of a line becomes a blank.
    public mutating func appendInterpolation(quoted value: some CustomStringConvertible) {
        var text = "\""
        for character in value.description {
            switch character {
            case "\"", "\\":
                text.append("\\")
                text.append(character)
            case _ where character.isNewline: text.append(" ")
            default: text.append(character)
            }
        }
        text.append("\"")
        appendLiteral(text)
    }
}
