// Connection: the state of one connection to the server; the worker acts on it.

internal import Memcache
internal import Uring

/// One connection; a trivial value in the worker's table.
struct Connection: BitwiseCopyable {
    let socket: Socket
    var parser = ReplyParser()
    var random: RandomStream
    /// Where it is among keys taken in order.
    var position: UInt64
    /// Operations that it may still begin.
    var quota: UInt64
    /// The oldest request under way, in its ring of pending ones, and how many there are.
    var head = 0
    var outstanding = 0
    /// The first key of the head request that has had no reply yet.
    var keyIndex = 0
    /// The value being received, where values are verified.
    var value = ValueReader()
    /// Bytes of an incomplete reply that are kept until more come.
    var carried = 0
    /// What was last handed to the ring to send, and what of it is known to have gone out: only
    /// kept up to date after a send that did not take all.
    var sendBytes = 0
    var sentBytes = 0
    var isSending = false
    /// Whether it stands in the list of those that may send.
    var isReady = false
    /// When the last byte came, or the first request of a run of them went.
    var progressAt: UInt64 = 0

    init(socket: Socket, random: RandomStream, position: UInt64, quota: UInt64) {
        self.socket = socket
        self.random = random
        self.position = position
        self.quota = quota
    }

    /// Whether everything was asked and answered.
    var isDone: Bool { quota == 0 && outstanding == 0 }
}
