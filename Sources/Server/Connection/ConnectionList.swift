// ConnectionList: some of a worker's connections, in order, each at most once.
//
// Every list of connections is one of these: who is ready, touched, watched, starved. A list knows
// slots and nothing of what they stand for. Nothing is allocated after its birth, and adding,
// taking off and asking cost the same however long it is.

internal import Primitives

/// A list of connections by their slots. A copy names the same links: it is good for a walk during
/// which the list changes, and nothing else.
struct ConnectionList: BitwiseCopyable, Sequence {
    /// A member's neighbours; zeros for who is not in the list.
    private struct Links: BitwiseCopyable {
        var next: UInt32
        var previous: UInt32
    }

    /// A slot's entry is one more than the slot; the last entry is both ends of the list, which
    /// therefore runs in a circle. Nobody's neighbour is entry 0.
    private let links: Table<Links>
    /// The entry of both ends.
    private let ends: Int
    private(set) var count = 0

    /// - Parameter slots: how many connections there can be.
    init(slots: Int) throws(MemoryError) {
        links = try Table(count: slots + 2)
        ends = slots + 1
        links[ends] = Links(next: UInt32(ends), previous: UInt32(ends))
    }

    /// Bytes of one connection's links, and of a list for so many.
    static var linkBytes: Int { MemoryLayout<Links>.stride }
    static func byteCount(slots: Int) -> Int { Table<Links>.byteCount(of: slots + 2) }

    @inline(__always)
    var isEmpty: Bool { count == 0 }

    /// Whoever has been in the list longest.
    @inline(__always)
    var first: Int? {
        let entry = Int(links[ends].next)
        return entry == ends ? nil : entry &- 1
    }

    @inline(__always)
    func contains(_ slot: Int) -> Bool { links[slot &+ 1].next != 0 }

    /// Adds a connection at the end, unless it is in the list.
    @inline(__always)
    mutating func append(_ slot: Int) {
        let entry = slot &+ 1
        guard links[entry].next == 0 else { return }
        let last = links[ends].previous
        links[entry] = Links(
            next: UInt32(truncatingIfNeeded: ends), previous: last)
        links[Int(last)].next = UInt32(truncatingIfNeeded: entry)
        links[ends].previous = UInt32(truncatingIfNeeded: entry)
        count &+= 1
    }

    /// Takes a connection off, if it is in the list.
    @inline(__always)
    mutating func remove(_ slot: Int) {
        let entry = slot &+ 1
        let own = links[entry]
        guard own.next != 0 else { return }
        links[Int(own.previous)].next = own.next
        links[Int(own.next)].previous = own.previous
        links[entry] = Links(next: 0, previous: 0)
        count &-= 1
    }

    /// Takes off whoever has been in the list longest.
    @inline(__always)
    mutating func removeFirst() -> Int? {
        guard let slot = first else { return nil }
        remove(slot)
        return slot
    }

    /// Goes from the first to the last. The one it stands at may be taken off, and others added.
    struct Iterator: IteratorProtocol {
        fileprivate let list: ConnectionList
        fileprivate var entry: Int

        mutating func next() -> Int? {
            guard entry != list.ends else { return nil }
            defer { entry = Int(list.links[entry].next) }
            return entry - 1
        }
    }

    func makeIterator() -> Iterator {
        Iterator(list: self, entry: Int(links[ends].next))
    }

    /// Traps unless the links run through `count` members, the same in both directions.
    func check() {
        var before = ends
        var members = 0
        while true {
            let entry = Int(links[before].next)
            precondition(entry > 0 && Int(links[entry].previous) == before)
            guard entry != ends else { break }
            members += 1
            precondition(members <= count)
            before = entry
        }
        precondition(members == count)
    }
}

extension Sequence where Element == Int {
    /// Of the slots for which `condition` holds, the one whose `moment` is the earliest; the first
    /// of several. `moment` answers nil for a slot that does not count either.
    @inline(__always)
    func eldest(where condition: (Int) -> Bool, by moment: (Int) -> UInt64?) -> Int? {
        var eldest: Int?
        var earliest = UInt64.max
        for slot in self where condition(slot) {
            guard let time = moment(slot), time < earliest else { continue }
            earliest = time
            eldest = slot
        }
        return eldest
    }
}
