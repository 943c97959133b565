// DueQueue: connections by the time at which their next request is due.

/// A binary heap; what is due first comes out first, and of equals the lower number. Takes memory
/// once, for as many entries as there are connections.
struct DueQueue {
    private struct Entry: BitwiseCopyable {
        let due: UInt64
        let slot: Int
        @inline(__always)
        static func < (one: Entry, other: Entry) -> Bool {
            one.due < other.due || one.due == other.due && one.slot < other.slot
        }
    }
    private var entries: [Entry] = []

    init(capacity: Int) { entries.reserveCapacity(capacity) }

    var isEmpty: Bool { entries.isEmpty }
    /// When the first one is due.
    var firstDue: UInt64? { entries.first?.due }

    mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    mutating func push(_ slot: Int, due: UInt64) {
        entries.append(Entry(due: due, slot: slot))
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entries[index] < entries[parent] else { return }
            entries.swapAt(index, parent)
            index = parent
        }
    }

    /// Takes the first one out if it is due at `instant`.
    mutating func pop(dueBy instant: UInt64) -> Int? {
        guard let first = entries.first, first.due <= instant else { return nil }
        let last = entries.removeLast()
        guard !entries.isEmpty else { return first.slot }
        entries[0] = last
        var index = 0
        while true {
            let left = 2 * index + 1
            guard left < entries.count else { break }
            let right = left + 1
            let child = right < entries.count && entries[right] < entries[left] ? right : left
            guard entries[child] < entries[index] else { break }
            entries.swapAt(index, child)
            index = child
        }
        return first.slot
    }
}
