// Values: what the text of a setting means, as a number, a size, a switch or an address.
//
// Each answers nil for what it does not understand; ranges are the settings' own business.

internal import Server

enum Values {
    /// Decimal digits only.
    static func count(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        return Int(text)
    }

    /// Seconds with up to three decimals, up to an hour.
    static func milliseconds(_ text: String) -> Int? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let decimals = parts.count == 2 ? String(parts[1]) : "0"
        guard parts.count <= 2, decimals.count <= 3, let seconds = count(String(parts[0])),
            let rest = count(decimals + String(repeating: "0", count: 3 - decimals.count)),
            seconds <= 3600, seconds * 1000 + rest <= 3_600_000
        else { return nil }
        return seconds * 1000 + rest
    }

    static func octal(_ text: String) -> UInt32? {
        guard text.utf8.allSatisfy({ $0 >= 48 && $0 <= 55 }) else { return nil }
        return UInt32(text, radix: 8)
    }

    /// Digits and at most one of k, m, g; without a letter, in units of `unit` bytes.
    static func size(_ text: String, unit: Int) -> Int? {
        let scale: Int? =
            switch text.last {
            case "k", "K": 1 << 10
            case "m", "M": 1 << 20
            case "g", "G": 1 << 30
            default: nil
            }
        guard let count = count(scale == nil ? text : String(text.dropLast())) else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: scale ?? unit)
        return overflow ? nil : bytes
    }

    static func flag(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }

    static func port(_ text: String) -> UInt16? {
        count(text).flatMap { UInt16(exactly: $0) }
    }

    /// `host`, `host:port`, `[v6]`, `[v6]:port`, a bare IPv6 address, or `*` for every IPv4 one.
    /// The port is nil where the text names none; the address is nil where it cannot be one.
    static func address(_ text: String) -> (host: String, port: UInt16?)? {
        var host = Substring(text)
        var portText: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let tail = text[text.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":"), host.contains(":") else { return nil }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            host = text[..<colon]
            portText = text[text.index(after: colon)...]
        }
        if host == "*" { host = "0.0.0.0" }
        guard !host.isEmpty, host.utf8.allSatisfy(isHostByte) else { return nil }
        guard let portText else { return (String(host), nil) }
        guard let port = port(String(portText)) else { return nil }
        return (String(host), port)
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "%"):
            true
        default: false
        }
    }
}
