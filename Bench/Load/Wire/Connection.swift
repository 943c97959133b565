// Connection: the state of one connection to the server; the worker acts on it.

internal import Memcache
internal import Uring

/// One connection; a trivial value in the worker's table.
struct Connection: BitwiseCopyable {
    var socket: Socket
    var parser = ReplyParser()
    /// The binary protocol's, in place of `parser`.
    var binary = BinaryState()
    var random: RandomStream
    /// Where it is among keys taken in order.
    var position: UInt64
    /// Operations that it may still begin.
    var quota: UInt64
    /// Requests that may still be sent before it is closed and opened again.
    var requestsLeft = UInt64.max
    /// What is to be stored because it was missed.
    var missed = LookAside.Ends()
    /// The oldest request under way, in its ring of pending ones, and how many there are.
    var head = 0
    var outstanding = 0
    /// The first key of the head request that has had no reply yet.
    var keyIndex = 0
    /// The value being received, where values are verified.
    var value = ValueReader()
    /// The number being received as a value (meta).
    var number: UInt64 = 0
    /// Bytes of an incomplete reply that are kept until more come.
    var carried = 0
    /// What was last handed to the ring to send, and what of it is known to have gone out: only
    /// kept up to date after a send that did not take all.
    var sendBytes = 0
    var sentBytes = 0
    var isSending = false
    /// Whether it stands in the list of those that may send.
    var isReady = false
    /// Whether it has said quit and waits for the server to close.
    var isRetiring = false
    /// When the last byte came, or the first request of a run of them went.
    var progressAt: UInt64 = 0

    init(
        socket: Socket, random: RandomStream, position: UInt64, quota: UInt64,
        requestsLeft: UInt64
    ) {
        self.socket = socket
        self.random = random
        self.position = position
        self.quota = quota
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
    var isDone: Bool { outstanding == 0 && !hasMore }
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
