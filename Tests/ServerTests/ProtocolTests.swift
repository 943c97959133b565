// ProtocolTests: docs/protocol.md says what is answered, and it is.

import Glibc
import ServerSimulation
import Simulation
import Testing

@Suite struct ProtocolTests {
    private struct Row: CustomTestStringConvertible {
        var sent: String
        var expected: String
        var testDescription: String { sent }
    }

    /// The rows of one table of the page.
    private static func rows(_ table: String) -> [Row] {
        let path =
            #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
            + "/docs/protocol.md"
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
        var rows: [Row] = []
        var isInside = false
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            if line.hasPrefix("<!--") { isInside = line == "<!-- table: \(table) -->" }
            guard isInside, line.hasPrefix("| `") else { continue }
            let cells = line.split(separator: "|").map { unquoted(String($0)) }
            guard cells.count == 3 else { continue }
            rows.append(Row(sent: cells[1], expected: cells[2]))
        }
        return rows
    }

    private static func unquoted(_ cell: String) -> String {
        var text = Substring(cell)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        if text.first == "`" { text.removeFirst() }
        if text.last == "`" { text.removeLast() }
        var plain = ""
        var rest = text
        while let next = rest.first {
            if rest.hasPrefix("\\r\\n") {
                plain += "\r\n"
                rest = rest.dropFirst(4)
            } else {
                plain.append(next)
                rest = rest.dropFirst()
            }
        }
        return plain
    }

    /// Whether `reply` is `pattern`, in which `#` stands for a number.
    private func matches(_ reply: String, _ pattern: String) -> Bool {
        var rest = Substring(reply)
        for letter in pattern {
            guard letter == "#" else {
                guard rest.first == letter else { return false }
                rest.removeFirst()
                continue
            }
            guard rest.first?.isNumber == true else { return false }
            while rest.first?.isNumber == true { rest.removeFirst() }
        }
        return rest.isEmpty
    }

    @Test(arguments: ["classic", "meta"])
    func thePageSaysWhatIsAnswered(_ table: String) throws {
        let rows = Self.rows(table)
        #expect(rows.count > 25)
        for row in rows {
            let world = try World()
            let peer = world.connect()
            let prepared = try world.ask(
                "set a 5 0 2\r\nhi\r\nset n 0 0 2\r\n10\r\nms s 3\r\nold\r\nmd s I T100\r\n", peer)
            #expect(prepared == "STORED\r\nSTORED\r\nHD\r\nHD\r\n")
            let reply = try world.ask(row.sent + "\r\nmn\r\n", peer)
            let expected = row.expected.isEmpty ? "MN\r\n" : row.expected + "\r\nMN\r\n"
            #expect(matches(reply, expected), "\(row.sent) answers \(reply)")
        }
    }
}
