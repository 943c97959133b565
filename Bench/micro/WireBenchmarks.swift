// WireBenchmarks: requests parsed and replies written, without a store or a network.

internal import Memcache
internal import Primitives

enum WireBenchmarks {
    private static let rounds = 2000

    static func run(_ meter: inout Meter, _ keys: Keys) throws(MemoryError) {
        let key = keys.text(7)
        let many = (0..<50).map { keys.text($0) }.joined(separator: " ")
        let value = String(repeating: "v", count: Keys.valueBytes)
        parse("parse get", "get \(key)\r\n", &meter)
        parse("parse get of 50 keys", "get \(many)\r\n", &meter)
        parse("parse set", "set \(key) 0 0 \(Keys.valueBytes)\r\n\(value)\r\n", &meter)
        parse("parse delete", "delete \(key)\r\n", &meter)
        try encode(&meter, keys)
    }

    /// One operation is a whole line, with its value if it has one.
    private static func parse(_ name: String, _ line: String, _ meter: inout Meter) {
        let bytes = Array(line.utf8)
        meter.sum &+= parse(bytes, rounds: 16)
        meter.begin()
        meter.sum &+= parse(bytes, rounds: rounds)
        meter.end(name, operations: rounds)
    }

    @inline(never)
    private static func parse(_ line: [UInt8], rounds: Int) -> UInt64 {
        let span = line.span
        var parser = ClassicParser(itemBytesMax: 1 << 20)
        var sum: UInt64 = 0
        for _ in 0..<rounds {
            var position = 0
            while position < span.count {
                let rest = span.extracting(position..<span.count)
                guard case .request(let request, let consumed) = parser.next(rest) else { break }
                sum &+= UInt64(request.key.count) &+ UInt64(request.verb.rawValue)
                position &+= consumed
            }
        }
        return sum
    }

    /// `VALUE <key> 0 100\r\n`, the value, its line end, and END.
    private static func encode(_ meter: inout Meter, _ keys: Keys) throws(MemoryError) {
        let output = try Region.map(byteCount: 4096)
        meter.sum &+= encode(output, keys, rounds: 16)
        meter.begin()
        meter.sum &+= encode(output, keys, rounds: rounds)
        meter.end("encode value", operations: rounds)
    }

    @inline(never)
    private static func encode(_ output: Region, _ keys: Keys, rounds: Int) -> UInt64 {
        var sum: UInt64 = 0
        for number in 0..<rounds {
            var writer = ByteWriter(output, at: 0, capacity: output.byteCount)
            keys.with(number % keys.count) {
                Reply.value($0, flags: 0, bytes: Keys.valueBytes, to: &writer)
            }
            keys.withValue { writer.append($0) }
            Reply.lineEnd(to: &writer)
            Reply.end(to: &writer)
            sum &+= UInt64(writer.count)
        }
        return sum
    }
}
