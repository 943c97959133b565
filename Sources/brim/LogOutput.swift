// LogOutput: the lines of the log on their way to standard error.
//
// A reader that takes nothing costs lines, which are counted, and nobody's time. A line that comes
// too often is summed up. Form and stream of a line are decided here, and nothing of what it says.

internal import Primitives
internal import Server
internal import Synchronization

/// One record, as it was written: an event, and its fields.
struct LogRecord {
    var level: EventLog.Level
    var event: Substring
    /// `name=value`, separated by blanks.
    var fields: Substring

    init(_ level: EventLog.Level, _ line: String) {
        self.level = level
        let end = line.firstIndex(of: " ") ?? line.endIndex
        event = line[..<end]
        fields = line[end...].dropFirst()
    }
}

/// How a record is written.
struct LogForm {
    var format: LogFormat
    /// The journal reads standard error: it knows the time, and takes the level as a number.
    var isJournal: Bool

    func line(_ record: LogRecord, at time: String) -> String {
        let level = record.level.name
        switch format {
        case .text where isJournal:
            return "<\(Self.priority(record.level))>\(record.event)\(Self.tail(record.fields))"
        case .text: return "\(time) \(level) \(record.event)\(Self.tail(record.fields))"
        case .logfmt:
            return "ts=\(time) level=\(level) msg=\(record.event)\(Self.tail(record.fields))"
        case .json:
            var line =
                "{\"ts\":\"\(time)\",\"level\":\"\(level)\",\"msg\":\"\(record.event)\""
            for (name, value) in Self.pairs(record.fields) {
                line += ",\(Self.quoted(name)):\(Self.json(value))"
            }
            return line + "}"
        }
    }

    private static func tail(_ fields: Substring) -> String { fields.isEmpty ? "" : " \(fields)" }

    /// As syslog has them.
    private static func priority(_ level: EventLog.Level) -> Int {
        switch level {
        case .error: 3
        case .warning: 4
        case .info: 6
        case .debug, .trace: 7
        }
    }

    /// The fields, each with its value and whether that was in quotation marks.
    static func pairs(_ text: Substring) -> [(name: String, value: (text: String, isText: Bool))] {
        var pairs: [(String, (String, Bool))] = []
        var rest = text.drop { $0 == " " }
        while let sign = rest.firstIndex(of: "=") {
            let name = String(rest[..<sign])
            rest = rest[rest.index(after: sign)...]
            var value = ""
            let isText = rest.first == "\""
            if isText {
                rest.removeFirst()
                while let letter = rest.popFirst(), letter != "\"" {
                    value.append(letter == "\\" ? rest.popFirst() ?? "\\" : letter)
                }
            } else {
                while let letter = rest.first, letter != " " {
                    value.append(letter)
                    rest.removeFirst()
                }
            }
            pairs.append((name, (value, isText)))
            rest = rest.drop { $0 == " " }
        }
        return pairs
    }

    private static func json(_ value: (text: String, isText: Bool)) -> String {
        // A number that would not come back as it is written stays a text.
        let isNumber = !value.isText && Int(value.text).map { "\($0)" == value.text } == true
        return isNumber ? value.text : quoted(value.text)
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}

/// The log of the process. Any thread.
final class LogOutput: Sendable {
    private struct State {
        var form: LogForm
        var rule = RepeatRule()
        /// Lines that were lost since one was taken.
        var lost = 0
    }

    private let stream: ErrorStream
    private let state: Mutex<State>
    let counts = LogCounts()

    /// - Parameter journal: What $JOURNAL_STREAM says.
    init(_ format: LogFormat, journal: String?) {
        let stream = ErrorStream()
        let isJournal = journal.map { stream.isNamed(by: $0) } ?? false
        self.stream = stream
        state = Mutex(State(form: LogForm(format: format, isJournal: isJournal)))
    }

    func choose(_ format: LogFormat) { state.withLock { $0.form.format = format } }

    func write(_ level: EventLog.Level, _ line: String) {
        let record = LogRecord(level, line)
        let now = Clock.monotonicNanoseconds()
        state.withLock { state in
            for sum in state.rule.sums(at: now) { put(LogRecord(sum.level, sum.line), &state) }
            if state.rule.admits(line, level, at: now) { put(record, &state) }
        }
    }

    /// Says what was held back or lost, if it is time; once a second, and with `all` at the end.
    func tick(all: Bool = false) {
        let now = Clock.monotonicNanoseconds()
        state.withLock { state in
            for sum in state.rule.sums(at: now, all: all) {
                put(LogRecord(sum.level, sum.line), &state)
            }
            if state.lost > 0 { sayLost(&state) }
        }
    }

    private func put(_ record: LogRecord, _ state: inout State) {
        if state.lost > 0 { sayLost(&state) }
        guard state.lost == 0, send(record, state.form) else {
            state.lost += 1
            counts.addDropped()
            return
        }
    }

    private func sayLost(_ state: inout State) {
        let record = LogRecord(.warning, "\(Event.logDropped.name) lines=\(state.lost)")
        if send(record, state.form) { state.lost = 0 }
    }

    private func send(_ record: LogRecord, _ form: LogForm) -> Bool {
        let now = UniversalTime.stamp(unixNanoseconds: Clock.unixNanoseconds())
        let text = form.line(record, at: now)
        // A newline in a message must not look like a record of its own.
        var bytes = text.utf8.map { $0 == 10 || $0 == 13 ? 32 : $0 }
        if bytes.count >= ErrorStream.lineBytesMax {
            bytes.removeLast(bytes.count - ErrorStream.lineBytesMax + 1)
        }
        return stream.write(bytes + [10])
    }
}
