// Waker: lets other threads end a ring's wait.

/// Wakes one ring; callable from any thread, any number of times.
public struct Waker: BitwiseCopyable, Sendable {
    @usableFromInline let descriptor: Int32
    @inlinable public init(descriptor: Int32) { self.descriptor = descriptor }
}
