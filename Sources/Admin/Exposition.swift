// Exposition: families in the text forms that Prometheus reads: its own 0.0.4, and OpenMetrics 1.0.
//
// The two differ in little: OpenMetrics names a family without `_total`, and ends with a mark.

internal import Server

/// A form, and its media type.
enum Exposition: Sendable {
    case prometheus, openMetrics

    var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The form that an `Accept` header asks for: OpenMetrics if it is named, and wanted no less
    /// than text.
    init(accept: String?) {
        var open = 0.0
        var text = 0.0
        for range in (accept ?? "").lowercased().split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
            let quality = parts.dropFirst().first { $0.hasPrefix("q=") }
                .flatMap { Double($0.dropFirst(2)) }
            switch parts.first {
            case "application/openmetrics-text": open = max(open, quality ?? 1)
            case "text/plain", "text/*", "*/*": text = max(text, quality ?? 1)
            default: break
            }
        }
        self = open > 0 && open >= text ? .openMetrics : .prometheus
    }

    func text(_ families: [MetricFamily]) -> [UInt8] {
        var lines = ""
        for family in families {
            let isTotal = family.kind == .counter
            let name = isTotal && self == .prometheus ? family.name + "_total" : family.name
            lines += "# HELP \(name) \(Self.escaped(family.help, marks: false))\n"
            lines += "# TYPE \(name) \(family.kind.rawValue)\n"
            for sample in family.samples {
                lines += family.name + (isTotal ? "_total" : sample.suffix)
                lines += Self.labels(sample.labels)
                switch sample.value {
                case .integer(let value): lines += " \(value)\n"
                case .real(let value): lines += " \(value)\n"
                }
            }
        }
        if self == .openMetrics { lines += "# EOF\n" }
        return Array(lines.utf8)
    }

    private static func labels(_ labels: [MetricSample.Label]) -> String {
        guard !labels.isEmpty else { return "" }
        let pairs = labels.map { "\($0.name)=\"\(escaped($0.value, marks: true))\"" }
        return "{\(pairs.joined(separator: ","))}"
    }

    private static func escaped(_ text: String, marks: Bool) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where marks: escaped += "\\\""
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
