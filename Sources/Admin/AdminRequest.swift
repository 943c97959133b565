// AdminRequest: a request and its answer as values, apart from the library that carries them.

/// What was asked.
struct AdminRequest: Sendable {
    var method: String
    /// Without the query.
    var path: String
    /// Pairs of the query, not decoded: nothing here has names or values that need it.
    var query: [(name: String, value: String)]
    /// Names in lower case.
    var headers: [(name: String, value: String)]
    /// It came through a unix socket, whose file guards it.
    var isLocal: Bool

    init(
        method: String, target: String, headers: [(name: String, value: String)] = [],
        isLocal: Bool = false
    ) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        self.method = method
        path = parts.first.map(String.init) ?? "/"
        query = (parts.count == 2 ? parts[1] : "").split(separator: "&").map { pair in
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (String(sides[0]), sides.count == 2 ? String(sides[1]) : "")
        }
        self.headers = headers
        self.isLocal = isLocal
    }

    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    func asks(for name: String) -> Bool { query.contains { $0.name == name && $0.value == "1" } }
}

/// What is answered.
struct AdminResponse: Sendable {
    var status: Int
    var contentType = "text/plain; charset=utf-8"
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]

    init(_ status: Int, _ text: String) {
        self.status = status
        body = Array(text.utf8)
    }

    init(_ status: Int, json: JSONText) {
        self.status = status
        contentType = "application/json"
        body = json.bytes
    }

    func with(_ name: String, _ value: String) -> AdminResponse {
        var response = self
        response.headers.append((name, value))
        return response
    }
}

/// Writes JSON, a value at a time.
struct JSONText {
    private(set) var bytes: [UInt8] = []
    private var needsComma = false

    mutating func object(_ content: (inout JSONText) -> Void) { nest("{", "}", content) }
    mutating func array(_ content: (inout JSONText) -> Void) { nest("[", "]", content) }

    private mutating func nest(
        _ opening: String, _ closing: String, _ content: (inout JSONText) -> Void
    ) {
        separate()
        append(opening)
        needsComma = false
        content(&self)
        append(closing)
        needsComma = true
    }

    /// The name of what follows.
    mutating func name(_ text: String) {
        string(text)
        append(":")
        needsComma = false
    }

    mutating func string(_ text: String) {
        separate()
        append("\"")
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": append("\\\(scalar)")
            case _ where scalar.value < 32:
                let digits = String(scalar.value, radix: 16)
                append("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
            default: append("\(scalar)")
            }
        }
        append("\"")
    }

    mutating func number(_ value: some FixedWidthInteger) {
        separate()
        append("\(value)")
    }

    /// Whole numbers without a point; nothing else than a number.
    mutating func number(_ value: Double) {
        separate()
        guard value.isFinite else { return append("0") }
        append(Int64(exactly: value).map { "\($0)" } ?? "\(value)")
    }

    mutating func boolean(_ value: Bool) {
        separate()
        append("\(value)")
    }

    private mutating func separate() {
        if needsComma { append(",") }
        needsComma = true
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
