// Rings: what waits its turn on each connection, such as keys that were missed and are to be
// stored next. One ring per connection, all in one table.

internal import Primitives

/// A ring of elements for each connection of one worker; the connection holds its ends.
///
/// A ring never overflows: its owner knows how many elements there can be.
struct Rings<Element: BitwiseCopyable>: BitwiseCopyable {
    private let elements: Table<Element>
    /// Of each ring.
    let capacity: Int

    init(connectionCount: Int, capacity: Int) throws(MemoryError) {
        self.capacity = capacity
        elements = try Table(count: max(connectionCount * capacity, 1))
    }

    @inline(__always)
    func push(_ element: Element, _ slot: Int, _ ends: inout RingEnds) {
        precondition(ends.count < capacity)
        let place = ends.head &+ ends.count
        elements[slot &* capacity &+ (place >= capacity ? place &- capacity : place)] = element
        ends.count &+= 1
    }

    /// The oldest element of a ring that is not empty.
    @inline(__always)
    func first(_ slot: Int, _ ends: RingEnds) -> Element {
        precondition(ends.count > 0)
        return elements[slot &* capacity &+ ends.head]
    }

    @inline(__always)
    func dropFirst(_ ends: inout RingEnds) {
        ends.head = ends.head &+ 1 == capacity ? 0 : ends.head &+ 1
        ends.count &-= 1
    }
}

/// Where the ring of a connection begins, and how many elements it holds.
struct RingEnds: BitwiseCopyable {
    fileprivate var head = 0
    fileprivate(set) var count = 0
    @inline(__always) var isEmpty: Bool { count == 0 }
}
