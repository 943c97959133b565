// StandardErrorLog: one line per record on standard error, and the bridge from the events to it.
//
// A line is `2026-01-31T12:00:00.000Z info server.stopped milliseconds=12`: time in UTC, level,
// the event's name and its fields as `name=value`.

internal import FoundationEssentials
internal import Logging
internal import Primitives

/// A log handler that writes lines.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            .sorted { $0.key < $1.key }
            .map { " \($0.key)=\($0.value)" }
            .joined()
        // A newline in a message must not look like a record of its own.
        let text = "\(event.message)\(fields)".split(whereSeparator: \.isNewline)
            .joined(separator: " ")
        TextFile.writeToStandardError("\(Date.now.formatted(style)) \(event.level) \(text)\n")
    }
}

extension EventLog {
    /// Starts the process's logging; call it once.
    static func onStandardError(verbosity: Int) -> EventLog {
        LoggingSystem.bootstrap { _ in StandardErrorLog() }
        var logger = Logger(label: "brim")
        // What is not to be said is dropped before it comes here.
        logger.logLevel = .trace
        let sink = logger
        return EventLog(threshold: Level(verbosity: verbosity)) { level, line in
            sink.log(level: level.logLevel, "\(line)")
        }
    }
}

extension EventLog.Level {
    fileprivate var logLevel: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}
