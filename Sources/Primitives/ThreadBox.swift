// ThreadBox: the threads of an owner that outlives them.

internal import Synchronization

/// Threads to be joined together. Usable from any thread.
public final class ThreadBox: Sendable {
    /// A thread cannot lie in an array; a class around it can.
    private final class Slot: Sendable {
        let thread: Mutex<Thread?>
        init(_ thread: consuming Thread) { self.thread = Mutex(thread) }
    }
    private let slots = Mutex<[Slot]>([])

    public init() {}

    public func append(_ thread: consuming Thread) {
        let slot = Slot(thread)
        slots.withLock { $0.append(slot) }
    }

    /// Waits for all of them, and forgets them.
    public func joinAll() {
        let all = slots.withLock { slots in
            let all = slots
            slots = []
            return all
        }
        for slot in all {
            let thread = slot.thread.withLock { $0.take() }
            thread?.join()
        }
    }
}
