// RunWorker+Binary: replies of the binary protocol, matched to what was asked by their opaque.

internal import Memcache
internal import Primitives

extension RunWorker {
    /// Reads replies until `end` is reached or passed. Returns the bytes that are done with.
    mutating func parseBinary(
        _ bytes: Span<UInt8>, until end: Int, _ slot: Int, _ connection: inout Connection
    ) -> Int {
        var position = 0
        while position < end {
            let rest = bytes.extracting(position..<bytes.count)
            switch connection.binary.parser.next(rest) {
            case .answer(let answer, let consumed):
                matchBinary(answer, rest, slot, &connection)
                guard !wire.hasFailed else { return position }
                position &+= consumed
            case .needMore:
                return position
            case .fault(let fault):
                fail(slot, connection, "\(fault)", reply: excerpt(of: rest))
                return position
            }
        }
        return position
    }

    private mutating func matchBinary(
        _ answer: BinaryAnswer, _ bytes: Span<UInt8>, _ slot: Int,
        _ connection: inout Connection
    ) {
        guard connection.link.outstanding > 0 else {
            return fail(slot, connection, "nothing was asked", reply: Self.words(answer))
        }
        let entry = pending.entry(slot, connection.link, 0)
        let command = pending.command(entry)
        let isOver: Bool
        if answer.isBody {
            isOver = takeBinaryBody(answer, bytes, command, entry, slot, &connection)
        } else if command == .get, pending.keyCount(entry) > 1 {
            isOver = matchQuiet(answer, bytes, entry, slot, &connection)
        } else {
            isOver = matchSingle(answer, command, entry, slot, &connection)
        }
        guard isOver, !wire.hasFailed else { return }
        let keyCount = UInt32(truncatingIfNeeded: pending.keyCount(entry))
        connection.binary.opaque &+= keyCount > 1 ? keyCount &+ 1 : 1
        finishHead(entry, command, &connection)
    }

    /// The head of the reply to a request for one key. Returns whether that is all of it.
    private mutating func matchSingle(
        _ answer: BinaryAnswer, _ command: LoadCommand, _ entry: Int, _ slot: Int,
        _ connection: inout Connection
    ) -> Bool {
        guard answer.opaque == connection.binary.opaque,
            answer.opcode == Self.opcode(command).rawValue
        else {
            fail(
                slot, connection,
                "not an answer to \(command.name) with opaque "
                    + "\(connection.binary.opaque)", reply: Self.words(answer))
            return false
        }
        connection.binary.status = answer.status
        let isMiss = answer.status == BinaryAnswer.Status.notFound
        let isDone = answer.status == BinaryAnswer.Status.ok
        switch command {
        case .get, .gat:
            if isDone {
                hit(at: 0, entry, slot, &connection)
                if answer.isLast { verify(entry, slot, &connection) }
                return answer.isLast
            }
            if isMiss {
                miss(upTo: 1, entry, slot, &connection)
                return answer.isLast
            }
        case .set, .add:
            if isDone {
                stored(entry)
                return answer.isLast
            }
            if command == .add, Self.isRefusal(answer.status) { return answer.isLast }
        case .delete, .touch:
            if isDone || isMiss {
                changed(command, isMiss: isMiss, entry)
                return answer.isLast
            }
        case .incr, .decr:
            if isDone {
                counted(command, answer.number, entry, slot)
                return answer.isLast
            }
            if isMiss {
                missedCounter(entry, slot, &connection)
                return answer.isLast
            }
        }
        return refusedBinary(answer, command, entry)
    }

    /// The head of a reply to one of several quiet gets, or to the noop behind them. Returns
    /// whether that completes the request.
    private mutating func matchQuiet(
        _ answer: BinaryAnswer, _ bytes: Span<UInt8>, _ entry: Int, _ slot: Int,
        _ connection: inout Connection
    ) -> Bool {
        let count = pending.keyCount(entry)
        let index = Int(answer.opaque &- connection.binary.opaque)
        connection.binary.status = answer.status
        if answer.opcode == BinaryOpcode.noop.rawValue, index == count {
            miss(upTo: count, entry, slot, &connection)
            return answer.isLast
        }
        guard answer.opcode == BinaryOpcode.getKQ.rawValue, index < count,
            index >= connection.keyIndex
        else {
            fail(
                slot, connection,
                "not an answer to any of \(count) getkq from opaque "
                    + "\(connection.binary.opaque) on", reply: Self.words(answer))
            return false
        }
        guard answer.status == BinaryAnswer.Status.ok else {
            // It stands for one of several keys.
            if answer.status == BinaryAnswer.Status.notFound {
                miss(upTo: index &+ 1, entry, slot, &connection)
            } else {
                miss(upTo: index, entry, slot, &connection)
                connection.keyIndex = index &+ 1
                _ = refusedBinary(answer, .get, entry)
            }
            return false
        }
        guard keys.matches(pending.key(entry, index), bytes.extracting(answer.key.range)) else {
            fail(
                slot, connection, "a value for a key that was not asked for",
                reply: Self.words(answer))
            return false
        }
        hit(at: index, entry, slot, &connection)
        if answer.isLast { verify(entry, slot, &connection) }
        return false
    }

    /// A part of a value, or of the text of another status. Returns whether that completes the
    /// request.
    private mutating func takeBinaryBody(
        _ answer: BinaryAnswer, _ bytes: Span<UInt8>, _ command: LoadCommand, _ entry: Int,
        _ slot: Int, _ connection: inout Connection
    ) -> Bool {
        let status = connection.binary.status
        if status == BinaryAnswer.Status.ok, command.isRetrieval {
            takeBody(answer.text, answer.isLast, bytes, entry, slot, &connection)
        } else if Self.isError(status), firstError == nil {
            firstError = excerpt(of: bytes.extracting(answer.text.range))
        }
        return answer.isLast && pending.keyCount(entry) == 1
    }

    /// A status that is an error. Returns whether its text is empty, too.
    private mutating func refusedBinary(
        _ answer: BinaryAnswer, _ command: LoadCommand, _ entry: Int
    ) -> Bool {
        refused(command, entry)
        if answer.isLast, firstError == nil { firstError = Self.words(answer) }
        return answer.isLast
    }

    private static func isRefusal(_ status: UInt16) -> Bool {
        status == BinaryAnswer.Status.exists || status == BinaryAnswer.Status.notStored
    }

    private static func isError(_ status: UInt16) -> Bool {
        status != BinaryAnswer.Status.ok && status != BinaryAnswer.Status.notFound
            && !isRefusal(status)
    }

    /// What answers a request for one key.
    private static func opcode(_ command: LoadCommand) -> BinaryOpcode {
        switch command {
        case .get: .get
        case .set: .set
        case .delete: .delete
        case .touch: .touch
        case .incr: .increment
        case .decr: .decrement
        case .add: .add
        case .gat: .getAndTouch
        }
    }

    private static func words(_ answer: BinaryAnswer) -> String {
        "opcode 0x\(String(answer.opcode, radix: 16)), status "
            + "0x\(String(answer.status, radix: 16)), opaque \(answer.opaque), "
            + "\(answer.bytes) bytes"
    }
}
