// Wire: how a client of the fuzzed worker writes its requests and reads the answers, in one of the
// three dialects. What was asked, and whether an answer can be true, is ModelClient's.

import Simulation

/// What a client speaks.
enum Dialect: Int, CaseIterable {
    case classic, meta, binary
}

/// One answer, or a piece of one.
enum Heard {
    case done, notFound, noMemory, tooLarge, end, stat
    case value(name: String, flags: Int, body: [UInt8])
    case other(String)

    /// What is told before the value has come.
    var isRefusalOfLength: Bool {
        if case .tooLarge = self { return true }
        return false
    }
}

/// The requests of a dialect.
struct Wire {
    let dialect: Dialect

    func set(_ name: String, flags: Int, value: [UInt8], isQuiet: Bool, number: Int) -> [UInt8] {
        switch dialect {
        case .classic:
            let line = "set \(name) \(flags) 0 \(value.count)\(isQuiet ? " noreply" : "")\r\n"
            return Array(line.utf8) + value + [13, 10]
        case .meta:
            return Array("ms \(name) \(value.count) F\(flags)\r\n".utf8) + value + [13, 10]
        case .binary:
            return packet(
                isQuiet ? 0x11 : 0x01, key: Array(name.utf8), value: value,
                extras: [0, 0, UInt8(flags >> 8 & 255), UInt8(flags & 255), 0, 0, 0, 0],
                number: number)
        }
    }

    /// Answered with what is there, in this order, and an end.
    func get(_ names: [String], number: Int) -> [UInt8] {
        switch dialect {
        case .classic: Array("get \(names.joined(separator: " "))\r\n".utf8)
        case .meta: Array((names.map { "mg \($0) k f v q\r\n" }.joined() + "mn\r\n").utf8)
        case .binary:
            names.flatMap { packet(0x0d, key: Array($0.utf8), number: number) }
                + packet(0x0a, number: number)
        }
    }

    func delete(_ name: String, number: Int) -> [UInt8] {
        switch dialect {
        case .classic: Array("delete \(name)\r\n".utf8)
        case .meta: Array("md \(name)\r\n".utf8)
        case .binary: packet(0x04, key: Array(name.utf8), number: number)
        }
    }

    /// Answered with an end.
    func noop(number: Int) -> [UInt8] {
        dialect == .binary ? packet(0x0a, number: number) : Array("mn\r\n".utf8)
    }

    /// No command at all.
    func nonsense(number: Int) -> [UInt8] {
        dialect == .binary ? packet(0x50, number: number) : Array("nonsense\r\n".utf8)
    }

    var nonsenseAnswer: String { dialect == .binary ? "status 129" : "ERROR" }

    /// Answered with numbers and an end. Connections are told in text only.
    func statistics(ofConnections: Bool, number: Int) -> [UInt8] {
        if dialect == .binary { return packet(0x10, number: number) }
        return Array((ofConnections ? "stats conns\r\n" : "stats\r\n").utf8)
    }

    /// Answered with "not found".
    func increment(_ name: String, number: Int) -> [UInt8] {
        switch dialect {
        case .classic: Array("incr \(name) 1\r\n".utf8)
        case .meta: Array("ma \(name)\r\n".utf8)
        case .binary:
            packet(
                0x05, key: Array(name.utf8),
                extras: [UInt8](repeating: 0, count: 16) + [255, 255, 255, 255], number: number)
        }
    }

    func signIn(_ word: String, number: Int) -> [UInt8] {
        let token = Array("anna \(word)".utf8)
        switch dialect {
        case .classic: return Array("set any 0 0 \(token.count)\r\n".utf8) + token + [13, 10]
        case .meta: return Array("ms any \(token.count)\r\n".utf8) + token + [13, 10]
        case .binary:
            return packet(
                0x21, key: Array("PLAIN".utf8),
                value: [0] + Array("anna".utf8) + [0]
                    + Array(word.utf8), number: number)
        }
    }

    var refusal: String {
        dialect == .binary ? "status 32" : "CLIENT_ERROR authentication failure"
    }

    private func packet(
        _ opcode: UInt8, key: [UInt8] = [], value: [UInt8] = [], extras: [UInt8] = [], number: Int
    ) -> [UInt8] {
        var packet = BinaryPacket(opcode, opaque: UInt32(number))
        packet.key = key
        packet.value = value
        packet.extras = extras
        return packet.bytes
    }

    // MARK: Answers

    /// The next answer that is whole, which is taken off, and the number that it repeats, if any;
    /// nil if it is not whole yet.
    func next(_ bytes: inout [UInt8]) -> (heard: Heard, number: Int?)? {
        dialect == .binary ? nextPacket(&bytes) : nextLine(&bytes).map { ($0, nil) }
    }

    private func nextLine(_ bytes: inout [UInt8]) -> Heard? {
        guard let end = bytes.firstIndex(of: 10) else { return nil }
        let line = String(decoding: bytes[..<end].dropLast(), as: UTF8.self)
        let words = line.split(separator: " ")
        if let first = words.first, first == "VALUE" || first == "VA", words.count == 4 {
            let isMeta = first == "VA"
            let flags = isMeta ? words[3].dropFirst() : words[2]
            let name = isMeta ? words[2].dropFirst() : words[1]
            guard let count = Int(isMeta ? words[1] : words[3]), let flags = Int(flags) else {
                return .other(line)
            }
            guard bytes.count >= end + 1 + count + 2 else { return nil }
            let body = Array(bytes[(end + 1)..<(end + 1 + count)])
            let isEnded = bytes[end + 1 + count] == 13 && bytes[end + 2 + count] == 10
            bytes.removeFirst(end + 3 + count)
            guard isEnded else { return .other("no line end behind \(line)") }
            return .value(name: String(name), flags: flags, body: body)
        }
        bytes.removeFirst(end + 1)
        switch line {
        case "STORED", "DELETED", "HD": return .done
        case "NOT_FOUND", "NF": return .notFound
        case "SERVER_ERROR out of memory storing object": return .noMemory
        case "SERVER_ERROR object too large for cache": return .tooLarge
        case "END", "MN": return .end
        default: return line.hasPrefix("STAT ") ? .stat : .other(line)
        }
    }

    private func nextPacket(_ bytes: inout [UInt8]) -> (heard: Heard, number: Int?)? {
        let packet: BinaryPacket
        switch BinaryPacket.reply(in: bytes) {
        case .more: return nil
        case .nonsense: return (.other("no packet: \(bytes.prefix(24))"), nil)
        case .reply(let reply): packet = reply
        }
        bytes.removeFirst(packet.byteCount)
        let flags = packet.extras.count == 4 ? Int(BinaryPacket.number(packet.extras)) : 0
        let heard: Heard =
            switch (packet.status, packet.opcode) {
            case (0, 0x0d):
                .value(
                    name: String(decoding: packet.key, as: UTF8.self), flags: flags,
                    body: packet.value)
            case (0, 0x10): packet.key.isEmpty ? .end : .stat
            case (0, 0x0a): .end
            case (0, _): .done
            case (1, _): .notFound
            case (3, _): .tooLarge
            case (0x82, _): .noMemory
            default: .other("status \(packet.status)")
            }
        return (heard, Int(packet.opaque))
    }
}
