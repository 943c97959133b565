// BinaryRequest: the binary protocol, from bytes to requests.
//
// The header says how long everything is, so a mistake in it cannot be passed over: such a
// connection ends, as with memcached. What is only unknown or too large is dropped by its length.
// Replies: BinaryReply.swift.

import Primitives

/// The fixed fields of a request.
private struct BinaryFields: BitwiseCopyable {
    static let bytes = 24

    var keyBytes: Int
    var extrasBytes: Int
    var bodyBytes: UInt32
    var head: BinaryHead

    /// Of input that holds at least `bytes`.
    init(_ input: Span<UInt8>) {
        keyBytes = Int(BigEndian.short(input, 2))
        extrasBytes = Int(input[4])
        bodyBytes = BigEndian.word(input, 8)
        head = BinaryHead(opcode: input[1], opaque: BigEndian.word(input, 12))
    }

    /// Where the value begins.
    var valueStart: Int { Self.bytes &+ extrasBytes &+ keyBytes }
    var valueBytes: UInt32 { bodyBytes &- UInt32(truncatingIfNeeded: extrasBytes &+ keyBytes) }
    var key: Slice { Slice(Self.bytes &+ extrasBytes, valueStart) }

    /// Whether what the header says can be.
    var isPossible: Bool { keyBytes &+ extrasBytes <= Int(bodyBytes) }

    /// What is wrong with the header alone; all that it refuses ends the connection, but for an
    /// unknown command.
    var fault: Fault? {
        guard isPossible else { return closing(.binaryUnknown) }
        guard keyBytes <= Limits.keyBytesMax else { return closing(.binaryInvalid) }
        guard let opcode = BinaryOpcode(rawValue: head.opcode) else {
            var fault = fault(.binaryUnknown)
            fault.swallow = UInt64(bodyBytes)
            return fault
        }
        guard opcode.allows(extras: extrasBytes, key: keyBytes, value: valueBytes) else {
            return closing(.binaryInvalid)
        }
        return nil
    }

    func fault(_ kind: Fault.Kind) -> Fault {
        var fault = Fault(kind, consumed: Self.bytes)
        fault.isBinary = true
        fault.opcode = head.opcode
        fault.opaque = head.opaque
        return fault
    }

    func closing(_ kind: Fault.Kind) -> Fault {
        var fault = fault(kind)
        fault.closes = true
        return fault
    }
}

extension ClassicParser {
    /// The request at the start of `input`, which is not empty.
    mutating func nextBinary(_ input: Span<UInt8>) -> Parsed {
        guard input[0] == 0x80 else {
            var fault = Fault(.otherProtocol, consumed: input.count)
            fault.closes = true
            return .fault(fault)
        }
        guard input.count >= BinaryFields.bytes else {
            return .needMore(atLeast: BinaryFields.bytes)
        }
        let fields = BinaryFields(input)
        if phase == .binaryGuarded, let fault = unsigned(fields) { return .fault(fault) }
        if let fault = fields.fault { return .fault(fault) }
        guard input.count >= fields.valueStart else {
            return .needMore(atLeast: fields.valueStart)
        }
        let request = request(input, fields)
        if let fault = tooLarge(request, fields) { return .fault(fault) }
        let end = fields.valueStart &+ Int(fields.valueBytes)
        guard input.count >= end else { return .needMore(atLeast: end) }
        return .request(whole(request, fields, end), consumed: end)
    }

    /// The storage command at the start of `input` whose key is there, its value or not.
    func binaryStorageHeader(_ input: Span<UInt8>) -> (Request, consumed: Int)? {
        guard phase != .binaryGuarded, input[0] == 0x80, input.count >= BinaryFields.bytes else {
            return nil
        }
        let fields = BinaryFields(input)
        guard fields.fault == nil, input.count >= fields.valueStart,
            BinaryOpcode(rawValue: fields.head.opcode)?.storesValue ?? false
        else { return nil }
        let request = request(input, fields)
        guard tooLarge(request, fields) == nil else { return nil }
        return (request, consumed: fields.valueStart)
    }

    /// The request but for its value.
    private func request(_ input: Span<UInt8>, _ fields: BinaryFields) -> Request {
        let opcode = BinaryOpcode(rawValue: fields.head.opcode) ?? .noop
        var request = Request(verb: .binary)
        if opcode == .quit || opcode == .quitQ { request.verb = .quit }
        if opcode.signsIn { request.verb = .signIn }
        request.opcode = fields.head.opcode
        request.opaque = fields.head.opaque
        request.isQuiet = opcode.isQuiet
        request.cas = BigEndian.long(input, 16)
        request.key = fields.key
        let extras = BinaryFields.bytes
        switch fields.extrasBytes {
        case 4:
            request.expiry = Int64(BigEndian.word(input, extras))
        case 8:
            request.flags = BigEndian.word(input, extras)
            request.expiry = Int64(BigEndian.word(input, extras &+ 4))
        case 20:
            request.delta = BigEndian.long(input, extras)
            request.initial = BigEndian.long(input, extras &+ 8)
            request.expiry = Int64(BigEndian.word(input, extras &+ 16))
        default: break
        }
        if opcode == .stat || opcode.signsIn {
            request.argument = fields.key
            request.key = .empty
        }
        if opcode.storesValue { request.valueBytes = fields.valueBytes }
        return request
    }

    private func whole(_ request: Request, _ fields: BinaryFields, _ end: Int) -> Request {
        guard fields.valueBytes > 0 else { return request }
        var request = request
        request.value = Slice(fields.valueStart, end)
        return request
    }

    /// An item that is too large: its value is dropped.
    private func tooLarge(_ request: Request, _ fields: BinaryFields) -> Fault? {
        guard BinaryOpcode(rawValue: request.opcode)?.storesValue ?? false,
            Limits.itemBytes(
                keyBytes: fields.keyBytes, valueBytes: UInt64(request.valueBytes),
                flags: request.flags) > UInt64(itemBytesMax)
        else { return nil }
        var fault = fields.fault(.tooLarge)
        fault.consumed = fields.valueStart
        fault.swallow = UInt64(fields.valueBytes)
        if request.opcode == BinaryOpcode.set.rawValue
            || request.opcode == BinaryOpcode.setQ.rawValue
        {
            fault.key = fields.key
        }
        return fault
    }

    /// Who has not signed in may ask how, do it, and ask for the version; whatever else it sends
    /// ends the connection.
    private func unsigned(_ fields: BinaryFields) -> Fault? {
        guard fields.isPossible else { return nil }
        switch BinaryOpcode(rawValue: fields.head.opcode) {
        case .saslMechanisms, .saslStart, .saslStep, .version: return nil
        default: return fields.closing(.binaryUnsigned)
        }
    }
}
