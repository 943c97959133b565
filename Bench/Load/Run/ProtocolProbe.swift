// ProtocolProbe: whether a server speaks the protocol of a run, asked before the run begins.
//
// A server that does not may close, answer with a line of text, or wait for the end of a line
// that never comes: none of this may look like a fault of the run, nor like a rate of errors.
// Classic text is not asked for: the facts of a server are asked in it.

internal import Glibc
internal import Memcache
internal import Primitives
internal import Uring

enum ProtocolProbe {
    /// A key that no run uses: no digits end it.
    private static let probeKey = Array("brim-bench-probe".utf8)
    private static let opaque: UInt32 = 0x6272_696D

    /// Throws what the user should know if a binary noop is not answered by one, or a meta get
    /// by neither a value nor a miss. Waits as long as the run would for a reply.
    static func check(_ plan: LoadPlan, _ target: Target) throws(LoadFailure) {
        let wireProtocol = plan.wireProtocol
        guard wireProtocol != .classic else { return }
        let waitMilliseconds = Int(plan.stallSeconds * 1000)
        let socket: Socket
        do throws(SocketError) {
            socket = try Socket.connected(
                to: target.address, timeoutMilliseconds: waitMilliseconds)
        } catch {
            throw .unreachable(error)
        }
        defer { socket.close() }
        guard let memory = try? Region.map(byteCount: 4096) else {
            throw .memory(byteCount: 4096)
        }
        socket.setReceiveTimeout(milliseconds: waitMilliseconds)
        var writer = ByteWriter(memory, at: 0, capacity: 64)
        if wireProtocol == .binary {
            BinaryEncoder.plain(.noop, opaque: opaque, to: &writer)
        } else {
            MetaEncoder.get(probeKey.span, to: &writer)
        }
        guard socket.send(from: memory, at: 0, count: writer.count) == writer.count else {
            throw .notSpoken(wireProtocol, "it closed the connection")
        }
        try read(socket, memory, wireProtocol)
    }

    private static func read(
        _ socket: Socket, _ memory: Region, _ wireProtocol: WireProtocol
    ) throws(LoadFailure) {
        var filled = 0
        while true {
            let count = socket.receive(
                into: memory, at: filled, count: memory.byteCount - filled)
            guard count > 0 else { throw .notSpoken(wireProtocol, reason(count)) }
            filled += count
            let verdict = memory.withBytes(0, filled) { bytes in
                isSpoken(bytes, wireProtocol).map { ($0, excerpt(of: bytes)) }
            }
            guard let verdict else { continue }
            guard verdict.0 else {
                throw .notSpoken(wireProtocol, "it answered \(verdict.1)")
            }
            return
        }
    }

    /// Whether the answer is one of the protocol; nil if too little of it is there.
    private static func isSpoken(_ bytes: Span<UInt8>, _ wireProtocol: WireProtocol) -> Bool? {
        if wireProtocol == .binary {
            var parser = BinaryReplyParser()
            switch parser.next(bytes) {
            case .answer(let answer, _):
                return answer.opaque == opaque && answer.opcode == BinaryOpcode.noop.rawValue
            case .needMore: return nil
            case .fault: return false
            }
        }
        var parser = ReplyParser()
        switch parser.next(bytes) {
        case .answer(let answer, _): return answer.kind == .end || answer.kind == .value
        case .needMore: return nil
        case .fault: return false
        }
    }

    private static func reason(_ count: Int) -> String {
        switch count {
        case 0, -Int(ECONNRESET): "it closed the connection"
        case -Int(EAGAIN): "it said nothing for as long as --stall allows"
        default: SystemError.text(Int32(-count))
        }
    }
}
