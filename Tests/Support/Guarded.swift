// Guarded: a value that several threads of a test share.

import Glibc
import Synchronization

/// A value behind a lock, like the standard library's `Mutex`. The thread sanitizer sees this one:
/// that of the library is compiled without it, and what it guards looks like a race.
///
/// For short sections: who waits yields and looks again.
public final class Guarded<Value>: @unchecked Sendable {
    // Sendable: the value is touched only by who has set the flag.
    private let isHeld = Atomic<Bool>(false)
    private var value: Value

    public init(_ value: Value) { self.value = value }

    public func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        while isHeld.exchange(true, ordering: .acquiring) { sched_yield() }
        defer { isHeld.store(false, ordering: .releasing) }
        return try body(&value)
    }
}
