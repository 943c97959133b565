// Lock: mutual exclusion on one 32-bit word of a region.
//
// Short sections only: it spins briefly (a holder on another core is about to leave), then sleeps
// in the kernel (the holder may have been preempted on this one). Not recursive, not fair.

internal import CPrimitives

/// A lock whose word lies in a region: 0 free, 1 held, 2 held and somebody sleeps.
public struct Lock: BitwiseCopyable, Sendable {
    @usableFromInline let word: AtomicWord32

    @inlinable public init(_ region: Region, at offset: Int) {
        word = region.atomic32(at: offset)
    }

    @inlinable @inline(__always)
    public func lock() {
        if !word.replace(0, with: 1) { lockContended() }
    }

    @inlinable @inline(__always)
    public func unlock() {
        if word.exchange(0) == 2 { word.wake(1) }
    }

    @usableFromInline func lockContended() {
        for _ in 0..<64 {
            cprim_pause()
            if word.loadRelaxed() == 0, word.replace(0, with: 1) { return }
        }
        while word.exchange(2) != 0 { word.wait(while: 2) }
    }
}
