// StandardErrorLog: the bridge from the events to the logging library, and from there to the log's
// lines (LogOutput).

internal import Logging
internal import Primitives

/// A log handler that writes lines.
struct StandardErrorLog: LogHandler {
    let output: LogOutput
    var logLevel: Logger.Level = .info
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }
            .sorted { $0.key < $1.key }
            .map { " \($0.key)=\($0.value)" }
            .joined()
        output.write(EventLog.Level(event.level), "\(event.message)\(fields)")
    }
}

extension EventLog {
    /// Starts the process's logging; call it once.
    static func onStandardError(_ output: LogOutput, verbosity: Int) -> EventLog {
        LoggingSystem.bootstrap { _ in StandardErrorLog(output: output) }
        var logger = Logger(label: "brim")
        // What is not to be said is dropped before it comes here.
        logger.logLevel = .trace
        let sink = logger
        return EventLog(threshold: Level(verbosity: verbosity), counts: output.counts) {
            level, line in
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

    fileprivate init(_ level: Logger.Level) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info, .notice: .info
            case .warning: .warning
            case .error, .critical: .error
            }
    }
}
