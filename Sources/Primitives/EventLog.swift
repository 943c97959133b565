// EventLog: where the layers below the command say what happened to the server.
//
// They may not import a logging library, so they are handed one of these; the command bridges it
// to the library. Lifecycle is info, one line each. Never a key or a value of a client, never
// anything on the road of a request: a line costs an allocation and a system call.

/// A sink for log lines: a plain value that any thread may use.
public struct EventLog: Sendable {
    public enum Level: UInt8, Sendable, Comparable, CaseIterable {
        case trace, debug, info, warning, error

        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    private let sink: @Sendable (Level, String) -> Void
    /// Lines below this level are dropped before their text is made.
    public let threshold: Level

    /// A events that hands every line at or above `threshold` to `sink`, on the caller's thread.
    public init(
        threshold: Level = .info, _ sink: @escaping @Sendable (Level, String) -> Void
    ) {
        self.threshold = threshold
        self.sink = sink
    }

    /// A events that forgets everything, for tests.
    public static let silent = EventLog { _, _ in }

    /// Writes one line: a short sentence, then what belongs to it as `name=value`.
    public func write(_ level: Level, _ line: @autoclosure () -> String) {
        guard level >= threshold else { return }
        sink(level, line())
    }

    public func trace(_ line: @autoclosure () -> String) { write(.trace, line()) }
    public func debug(_ line: @autoclosure () -> String) { write(.debug, line()) }
    public func info(_ line: @autoclosure () -> String) { write(.info, line()) }
    public func warning(_ line: @autoclosure () -> String) { write(.warning, line()) }
    public func error(_ line: @autoclosure () -> String) { write(.error, line()) }
}
