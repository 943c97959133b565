// Waker: lets other threads end a ring's wait.

internal import Glibc
public import Primitives

/// Wakes one ring; callable from any thread, any number of times, while the ring lives.
///
/// Wakes before the ring looks again count as one.
public struct Waker: BitwiseCopyable, Sendable {
    /// An eventfd, or -1.
    let descriptor: Int32
    /// Instead of a descriptor, for a ring that has no kernel: set to 1 by a wake.
    let word: AtomicWord32?

    public init(descriptor: Int32) {
        self.descriptor = descriptor
        word = nil
    }

    /// Wakes by setting `word` to 1; the ring looks there when it submits.
    public init(word: AtomicWord32) {
        descriptor = -1
        self.word = word
    }

    /// Ends the wait of the ring, now or when it next waits with its wake armed.
    public func wake() {
        if let word {
            word.storeRelease(1)
            return
        }
        var one: UInt64 = 1
        // SAFETY: eight bytes of a local. It cannot block: nobody adds up to 2^64 - 1 wakes.
        // An interrupted write is repeated; nothing else can go wrong while the ring lives.
        while unsafe write(descriptor, &one, 8) < 0 {
            guard errno == EINTR else { return }
        }
    }
}
