// Link: what the wire knows of one connection, whatever is asked over it.

internal import Memcache
internal import Uring

/// A connection of a driver: its link, and what the driver keeps beside it. A trivial value.
protocol WireConnection: BitwiseCopyable {
    var link: Link { get set }
}

/// One connection's socket, requests under way, and bytes on their way in and out.
struct Link: BitwiseCopyable {
    var socket: Socket
    /// Of the text protocols.
    var parser = ReplyParser()
    /// The place of the oldest request under way in a ring of them, and how many there are.
    private(set) var head = 0
    var outstanding = 0
    /// Bytes of an incomplete reply that are kept until more come.
    var carriedBytes = 0
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

    init(_ socket: Socket) { self.socket = socket }

    /// Goes on over another socket, in place of one that has ended between two replies.
    mutating func reopen(_ socket: Socket) {
        self.socket = socket
        parser = ReplyParser()
        carriedBytes = 0
        isSending = false
        isRetiring = false
    }

    /// The place of the request `index` behind the oldest, in a ring of `depth`.
    @inline(__always)
    func place(_ index: Int, in depth: Int) -> Int {
        let place = head &+ index
        return place >= depth ? place &- depth : place
    }

    /// The oldest request, in a ring of `depth`, is answered.
    @inline(__always)
    mutating func dropHead(in depth: Int) {
        outstanding &-= 1
        head = head &+ 1 == depth ? 0 : head &+ 1
    }
}
