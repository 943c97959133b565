// ProtocolProbe: whether a server speaks the binary protocol, asked before a run that needs it.
//
// A server that does not may close, answer with a line of text, or wait for the end of a line
// that never comes: none of this may look like a fault of the run.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

enum ProtocolProbe {
    /// Longest wait for the answer, in milliseconds.
    static let waitMillisecondsMax = 2000

    /// Throws what the user should know if the server does not answer a binary noop with one.
    static func check(_ wireProtocol: WireProtocol, _ target: Target) throws(LoadFailure) {
        guard wireProtocol == .binary else { return }
        let socket: Socket
        do throws(SocketError) {
            socket = try Socket.connected(
                to: target.address, timeoutMilliseconds: waitMillisecondsMax)
        } catch {
            throw .unreachable(error)
        }
        defer { socket.close() }
        guard let memory = try? Region.map(byteCount: 4096) else {
            throw .memory(byteCount: 4096)
        }
        socket.setReceiveTimeout(milliseconds: waitMillisecondsMax)
        var writer = ByteWriter(memory, at: 0, capacity: 64)
        let opaque: UInt32 = 0x6272_696D
        BinaryEncoder.plain(.noop, opaque: opaque, to: &writer)
        guard socket.send(from: memory, at: 0, count: writer.count) == writer.count else {
            throw .notSpoken("it closed the connection")
        }
        var filled = 0
        while filled < BinaryEncoder.headerBytes {
            let count = socket.receive(
                into: memory, at: filled, count: memory.byteCount - filled)
            guard count > 0 else { throw .notSpoken(reason(count)) }
            filled += count
            // A line of text may be shorter than a header.
            if memory.uint8(at: 0) != 0x81 { break }
        }
        let failure = memory.withBytes(0, filled) { judge($0, opaque) }
        if let failure { throw failure }
    }

    private static func reason(_ count: Int) -> String {
        switch count {
        case 0, -Int(ECONNRESET): "it closed the connection"
        case -Int(EAGAIN):
            "it said nothing for \(Double(waitMillisecondsMax) / 1000) s"
        default: SystemError.text(Int32(-count))
        }
    }

    private static func judge(_ bytes: Span<UInt8>, _ opaque: UInt32) -> LoadFailure? {
        var parser = BinaryReplyParser()
        guard case .answer(let answer, _) = parser.next(bytes), answer.opaque == opaque,
            answer.opcode == BinaryOpcode.noop.rawValue
        else { return .notSpoken("it answered \(Worker.excerpt(bytes))") }
        return nil
    }
}
