// LookAside: keys that were missed and are to be stored next, connection by connection.
//
// What a client of a cache does: it asks, misses, reads the value elsewhere and stores it. Here
// reading elsewhere takes no time. A counter that was not there is added in the same way.

internal import Primitives

/// A ring of key numbers for each connection of one worker; the connection holds its ends.
///
/// A ring never overflows: a connection sends nothing new while its ring holds a key, so there
/// are never more of them than keys in `depth` requests.
struct LookAside: BitwiseCopyable {
    private let memory: Region
    private let capacity: Int

    init(connectionCount: Int, keysMax: Int) throws(MemoryError) {
        capacity = keysMax
        memory = try Region.map(byteCount: max(connectionCount * keysMax * 4, 4))
    }

    @inline(__always)
    func push(_ key: UInt32, _ slot: Int, _ ends: inout Ends) {
        precondition(ends.count < capacity)
        memory.store(key, at: offset(slot, Int(ends.head &+ ends.count)))
        ends.count &+= 1
    }

    /// The oldest key of a ring that is not empty.
    @inline(__always)
    func pop(_ slot: Int, _ ends: inout Ends) -> UInt32 {
        precondition(ends.count > 0)
        let key = memory.uint32(at: offset(slot, Int(ends.head)))
        ends.head = Int(ends.head &+ 1) == capacity ? 0 : ends.head &+ 1
        ends.count &-= 1
        return key
    }

    private func offset(_ slot: Int, _ place: Int) -> Int {
        (slot &* capacity &+ (place >= capacity ? place &- capacity : place)) &* 4
    }

    /// Where the ring of a connection begins, and how many keys it holds.
    struct Ends: BitwiseCopyable {
        fileprivate var head: UInt32 = 0
        fileprivate(set) var count: UInt32 = 0
        @inline(__always)
        var isEmpty: Bool { count == 0 }
    }
}
