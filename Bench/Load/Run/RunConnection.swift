// RunConnection: what a run keeps of one connection, beside its link; the worker acts on it.

internal import Memcache
internal import Uring

/// One connection; a trivial value in the wire's table.
struct RunConnection: WireConnection {
    var link: Link
    /// The binary protocol's, in place of the link's parser.
    var binary = BinaryState()
    var random: RandomStream
    /// Where it is among keys taken in order.
    var position: UInt64
    /// Operations that it may still begin.
    var quota = UInt64.max
    /// Requests that may still be sent before it is closed and opened again.
    var requestsLeft: UInt64
    /// What is to be stored because it was missed.
    var missed = RingEnds()
    /// The first key of the head request that has had no reply yet.
    var keyIndex = 0
    /// The value being received, where values are verified.
    var value = ValueReader()
    /// The number being received as a value (meta).
    var number: UInt64 = 0

    init(_ socket: Socket, random: RandomStream, position: UInt64, requestsLeft: UInt64) {
        link = Link(socket)
        self.random = random
        self.position = position
        self.requestsLeft = requestsLeft
    }

    /// Goes on over another socket. It has no request under way.
    mutating func reopen(_ socket: Socket, requestsLeft: UInt64) {
        precondition(link.outstanding == 0)
        link.reopen(socket)
        binary = BinaryState()
        self.requestsLeft = requestsLeft
    }

    /// Goes on with the number that comes in decimal; blanks around it do not count.
    mutating func takeDigits(_ part: Span<UInt8>) {
        for index in 0..<part.count where part[index] != 0x20 {
            number = number &* 10 &+ UInt64(part[index] &- 0x30)
        }
    }

    /// Whether there is anything left to ask.
    @inline(__always)
    var hasMore: Bool { quota > 0 || !missed.isEmpty }
    /// Whether everything was asked and answered.
    var isDone: Bool { link.outstanding == 0 && !hasMore }
}

/// What a connection knows of the replies of the binary protocol.
struct BinaryState: BitwiseCopyable {
    var parser = BinaryReplyParser()
    /// The opaque of the oldest request under way (of its first key), and of the next to send.
    var opaque: UInt32 = 0
    var nextOpaque: UInt32 = 0
    /// Of the reply whose value is being received.
    var status: UInt16 = 0
}
