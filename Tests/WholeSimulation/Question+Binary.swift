// Question+Binary: a request in packets of the binary protocol, and what the packets that answer
// it mean. Of quiet requests only errors are answered, and of quiet gets only hits: the opaque of
// what comes next tells whether one was.

import Simulation

/// Statuses that are known here.
private enum Status {
    static let done = 0
    static let notFound = 1
    static let exists = 2
    static let tooLarge = 3
    static let notStored = 5
    static let notNumeric = 6
    static let outOfMemory = 0x82
}

extension Question {
    private static let noopCode: UInt8 = 0x0A
    /// As the expiry of an incr: a number that is not there is not made.
    private static let makesNone: UInt64 = 0xFFFF_FFFF

    // MARK: Asking

    var binaryBytes: [UInt8] {
        guard isGet, keys.count > 1 else { return packet(keys.first).bytes }
        // Quiet ones, and one behind them that is answered for certain.
        return keys.flatMap { packet($0).bytes } + BinaryPacket(Self.noopCode, opaque: number).bytes
    }

    private func packet(_ key: Int?) -> BinaryPacket {
        var packet = BinaryPacket(opcode, opaque: number)
        packet.key = Array((filler.map { "fill:\($0)" } ?? key.map(Self.name) ?? "").utf8)
        packet.extras = extras
        packet.value = value
        if verb == .cas { packet.cas = cas }
        if verb == .flush || verb == .flushLater { packet.key = [] }
        return packet
    }

    private var opcode: UInt8 {
        let isOne = keys.count == 1
        return switch verb {
        case .get: isOne ? 0x00 : 0x0D
        case .gets: isOne ? 0x0C : 0x0D
        case .gat: isOne ? 0x1D : 0x24
        case .gats: isOne ? 0x23 : 0x24
        case .set, .cas: isQuiet ? 0x11 : 0x01
        case .add: isQuiet ? 0x12 : 0x02
        case .replace: isQuiet ? 0x13 : 0x03
        case .append: isQuiet ? 0x19 : 0x0E
        case .prepend: isQuiet ? 0x1A : 0x0F
        case .delete: isQuiet ? 0x14 : 0x04
        case .incr: isQuiet ? 0x15 : 0x05
        case .decr: isQuiet ? 0x16 : 0x06
        case .touch: 0x1C
        case .flush, .flushLater: isQuiet ? 0x18 : 0x08
        case .noop: Self.noopCode
        }
    }

    private var extras: [UInt8] {
        let expiry = UInt64(bitPattern: lifetime.sent)
        return switch verb {
        case .set, .add, .replace, .cas:
            BinaryPacket.bytes(UInt64(flags), 4) + BinaryPacket.bytes(expiry, 4)
        case .touch, .gat, .gats: BinaryPacket.bytes(expiry, 4)
        case .flushLater: BinaryPacket.bytes(delta, 4)
        case .incr, .decr:
            BinaryPacket.bytes(delta, 8) + BinaryPacket.bytes(initial ?? 0, 8)
                + BinaryPacket.bytes(initial == nil ? Self.makesNone : expiry, 4)
        default: []
        }
    }

    // MARK: Hearing

    func hearBinary(_ bytes: [UInt8], _ seconds: ClosedRange<UInt32>) -> Heard {
        if isGet, keys.count > 1 { return hearBinaryValues(bytes, seconds) }
        guard case .reply(let packet) = BinaryPacket.reply(in: bytes) else {
            return bytes.isEmpty || bytes[0] == 0x81 ? .more : .wrong("\(words): no packet")
        }
        guard packet.opaque == number, packet.opcode == opcode,
            let verdict = verdict(packet, keys.first, seconds)
        else {
            return .wrong(
                "\(words) is told \(packet.opcode) status \(packet.status), \(packet.opaque) "
                    + "for \(number)")
        }
        return .answer(
            count: packet.byteCount, Array(repeating: verdict, count: keys.count))
    }

    private func hearBinaryValues(_ bytes: [UInt8], _ seconds: ClosedRange<UInt32>) -> Heard {
        var verdicts: [Verdict] = []
        var position = 0
        while true {
            switch BinaryPacket.reply(in: bytes, at: position) {
            case .more: return .more
            case .nonsense: return .wrong("\(words): no packet")
            case .reply(let packet):
                guard packet.opaque == number else {
                    return .wrong("\(words) is told of \(packet.opaque)")
                }
                position += packet.byteCount
                let isLast = packet.opcode == Self.noopCode
                while verdicts.count < keys.count,
                    isLast || Array(Self.name(keys[verdicts.count]).utf8) != packet.key
                {
                    verdicts.append(untouched(seconds))
                }
                if isLast { return .answer(count: position, verdicts) }
                guard verdicts.count < keys.count, packet.opcode == opcode,
                    packet.status == Status.done,
                    let verdict = verdict(packet, keys[verdicts.count], seconds)
                else { return .wrong("\(words) is told \(packet.opcode) \(packet.status)") }
                verdicts.append(verdict)
            }
        }
    }

    private func verdict(
        _ packet: BinaryPacket, _ key: Int?, _ seconds: ClosedRange<UInt32>
    ) -> Verdict? {
        switch packet.status {
        case Status.done: return done(packet, key, seconds)
        case Status.tooLarge, Status.outOfMemory:
            guard verb == .set else { return isGet ? missed : Verdict() }
            return Verdict(effects: [.remove], isForgotten: true)
        case Status.notFound where isGet || verb == .touch: return untouched(seconds)
        case Status.notFound where verb == .delete: return .change([.remove])
        case Status.notFound: return verb == .add || verb == .set ? nil : Verdict()
        case Status.exists where verb == .add: return Verdict(effects: [.present])
        case Status.exists where verb == .cas: return different
        case Status.notStored where verb == .append || verb == .prepend: return Verdict()
        case Status.notNumeric where verb == .incr || verb == .decr:
            return Verdict(effects: [.present])
        default: return nil
        }
    }

    private func done(
        _ packet: BinaryPacket, _ key: Int?, _ seconds: ClosedRange<UInt32>
    ) -> Verdict? {
        switch verb {
        case .get, .gets, .gat, .gats:
            let namesKey = opcode != 0x00 && opcode != 0x1D
            guard packet.extras.count == 4,
                packet.key == (namesKey ? Array((key.map(Self.name) ?? "").utf8) : [])
            else { return nil }
            return verdict(
                AnsweredValue(
                    flags: UInt32(BinaryPacket.number(packet.extras)), cas: packet.cas,
                    bytes: packet.value), seconds)
        case .incr, .decr:
            guard packet.value.count == 8 else { return nil }
            let sum = BinaryPacket.number(packet.value)
            var effects = [Effect.count(delta, isDecrement: verb == .decr, sum: sum)]
            if sum == initial { effects.append(.put(made(seconds))) }
            return .change(effects)
        case .noop, .flushLater: return Verdict()
        case .set, .add, .replace, .cas:
            var verdict = Verdict.change(effects(seconds))
            if packet.cas != 0 { verdict.cas = (packet.cas, value) }
            return verdict
        // One that leaves the expiry as it was changes nothing, and waits for no commit.
        case .touch: return .change(effects(seconds), isHeld: false)
        default: return .change(effects(seconds))
        }
    }
}
