// Question+Meta: a request as a meta command.

extension Question {
    func metaBytes(_ key: String) -> [UInt8] {
        let quiet = isQuiet ? " q" : ""
        let cas = flagged.cas.map { " E\($0)" } ?? ""
        switch verb {
        case .get, .gets:
            let makes = flagged.makes ? " N\(lifetime.sent)" : ""
            let recache = flagged.recache.map { " R\($0)" } ?? ""
            return Array("mg \(key) f c t v\(makes)\(recache)\(cas)\r\n".utf8)
        case .gat, .gats: return Array("mg \(key) T\(lifetime.sent) f v\r\n".utf8)
        case .delete: return Array("md \(key)\(invalidation)\(cas)\(quiet)\r\n".utf8)
        case .incr, .decr:
            let mode = verb == .decr ? " MD" : ""
            let makes = initial.map { " N\(lifetime.sent) J\($0)" } ?? ""
            return Array("ma \(key)\(mode) D\(delta)\(makes)\(cas) v\r\n".utf8)
        default: return storeLine(key, cas + quiet) + value + [13, 10]
        }
    }

    private func storeLine(_ key: String, _ last: String) -> [UInt8] {
        let mode =
            switch verb {
            case .add: "ME"
            case .replace: "MR"
            case .append: "MA"
            case .prepend: "MP"
            case .cas: "C\(cas)" + (flagged.invalidates ? " I" : "")
            default: "MS"
            }
        let head = "ms \(key) \(value.count) \(mode) F\(flags) T\(lifetime.sent)"
        return Array("\(head)\(last)\r\n".utf8)
    }

    private var invalidation: String {
        guard flagged.invalidates else { return "" }
        let strips = flagged.strips ? " x" : ""
        if case .ever = lifetime { return " I" + strips }
        return " I T\(lifetime.sent)" + strips
    }
}
