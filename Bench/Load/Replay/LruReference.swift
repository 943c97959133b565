// LruReference: an exact LRU of so many bytes, to hold a server's hit ratio against.
//
// It keeps no values: only which objects would be there. It is played the same requests in the
// order of the trace, and it does not know the server. Not for the server's own eviction.

internal import Primitives

/// Objects in the order of their last use; what exceeds the capacity leaves at the other end.
///
/// An object takes its key, its value and a stated overhead. One larger than the capacity is not
/// taken. Objects whose time is over are misses; until then, and until they are asked for, they
/// keep their room, as in a server that looks at expiry when it reads.
///
/// Memory is 40 bytes for each object that is there, and 4 to 8 for its place in the hash table,
/// touched as it fills.
public struct LruReference: BitwiseCopyable, Sendable {
    /// An object; links are indices, 0 for none.
    private struct Entry: BitwiseCopyable {
        var object: UInt64
        var bytes: UInt64
        /// The second from which on it is a miss; 0 for never.
        var expiresAt: UInt64
        var newer: UInt32
        var older: UInt32
        var next: UInt32
    }

    /// Most objects of one reference.
    static let entriesMax = 1 << 27
    /// Least and most bytes of a reference.
    public static let capacityBytesMin: UInt64 = 1 << 10
    public static let capacityBytesMax: UInt64 = 1 << 40

    public let capacityBytes: UInt64
    public let overheadBytes: UInt64
    public private(set) var usedBytes: UInt64 = 0
    public private(set) var objectCount: UInt64 = 0
    private let entries: Table<Entry>
    private let buckets: Table<UInt32>
    private let mask: UInt64
    private var newest: UInt32 = 0
    private var oldest: UInt32 = 0
    /// The first of the entries that are free again; behind `born` none was ever used.
    private var free: UInt32 = 0
    private var born: UInt32 = 0

    /// - Parameters:
    ///   - capacityBytes: 1 KiB to 1 TiB.
    ///   - overheadBytes: Counted for each object on top of key and value, at most 64 KiB.
    public init(capacityBytes: UInt64, overheadBytes: UInt64) throws(ArgumentFault) {
        precondition(capacityBytes >= Self.capacityBytesMin)
        precondition(capacityBytes <= Self.capacityBytesMax && overheadBytes <= 65_536)
        self.capacityBytes = capacityBytes
        self.overheadBytes = overheadBytes
        let least = UInt64(ReplayKeyText.byteCountMin) + overheadBytes
        let count = min(Int(capacityBytes / least) + 1, Self.entriesMax)
        var bucketCount = 64
        while bucketCount < count { bucketCount *= 2 }
        mask = UInt64(bucketCount - 1)
        do throws(MemoryError) {
            entries = try Table(count: count + 1)
            buckets = try Table(count: bucketCount)
        } catch {
            throw ArgumentFault(
                "reference-bytes: no memory for a reference of \(capacityBytes) bytes")
        }
    }

    /// Plays one request at the trace's second `time`. Returns whether the object was there.
    ///
    /// - Parameter fills: Whether a get or an incr that misses is followed by a set.
    public mutating func play(_ request: TraceRequest, at time: UInt64, fills: Bool) -> Bool {
        let found = find(request.object, at: time)
        switch request.operation {
        case .get, .gets, .incr, .decr:
            if found != 0 {
                use(found)
            } else if fills, request.hasSize {
                insert(request, at: time)
            }
        case .set, .fill:
            if found != 0 { remove(found) }
            insert(request, at: time)
        case .add:
            if found == 0 { insert(request, at: time) } else { use(found) }
        case .replace, .cas:
            if found != 0 {
                remove(found)
                insert(request, at: time)
            }
        case .append, .prepend:
            if found != 0 { lengthen(found, by: UInt64(request.valueBytes)) }
        case .delete:
            if found != 0 { remove(found) }
        }
        return found != 0
    }

    // MARK: Changes

    private func bytes(of request: TraceRequest) -> UInt64 {
        request.objectBytes &+ overheadBytes
    }

    private mutating func insert(_ request: TraceRequest, at time: UInt64) {
        let bytes = bytes(of: request)
        guard bytes <= capacityBytes else { return }
        while usedBytes &+ bytes > capacityBytes || (free == 0 && Int(born) == entries.count - 1) {
            remove(oldest)
        }
        let index = take()
        let bucket = bucket(request.object)
        let (expiry, isNever) = time.addingReportingOverflow(UInt64(request.ttlSeconds))
        entries[Int(index)] = Entry(
            object: request.object, bytes: bytes,
            expiresAt: request.ttlSeconds == 0 || isNever ? 0 : expiry, newer: 0, older: 0,
            next: buckets[bucket])
        buckets[bucket] = index
        usedBytes &+= bytes
        objectCount &+= 1
        linkNewest(index)
    }

    private mutating func lengthen(_ index: UInt32, by bytes: UInt64) {
        use(index)
        entries[Int(index)].bytes &+= bytes
        usedBytes &+= bytes
        while usedBytes > capacityBytes { remove(oldest) }
    }

    private mutating func use(_ index: UInt32) {
        guard index != newest else { return }
        unlink(index)
        linkNewest(index)
    }

    private mutating func remove(_ index: UInt32) {
        precondition(index != 0, "an empty reference has room for everything that it takes")
        let entry = entries[Int(index)]
        unlink(index)
        let bucket = bucket(entry.object)
        if buckets[bucket] == index {
            buckets[bucket] = entry.next
        } else {
            var before = buckets[bucket]
            while entries[Int(before)].next != index { before = entries[Int(before)].next }
            entries[Int(before)].next = entry.next
        }
        usedBytes &-= entry.bytes
        objectCount &-= 1
        entries[Int(index)].next = free
        free = index
    }

    /// The place of an object that is there and whose time is not over; 0 for none.
    private mutating func find(_ object: UInt64, at time: UInt64) -> UInt32 {
        var index = buckets[bucket(object)]
        while index != 0 {
            let entry = entries[Int(index)]
            if entry.object == object {
                guard entry.expiresAt == 0 || time < entry.expiresAt else {
                    remove(index)
                    return 0
                }
                return index
            }
            index = entry.next
        }
        return 0
    }

    // MARK: Places

    private func bucket(_ object: UInt64) -> Int {
        Int(truncatingIfNeeded: RandomStream.mix(object) & mask)
    }

    private mutating func take() -> UInt32 {
        guard free == 0 else {
            let index = free
            free = entries[Int(index)].next
            return index
        }
        born &+= 1
        return born
    }

    private mutating func linkNewest(_ index: UInt32) {
        entries[Int(index)].newer = 0
        entries[Int(index)].older = newest
        if newest != 0 { entries[Int(newest)].newer = index } else { oldest = index }
        newest = index
    }

    private mutating func unlink(_ index: UInt32) {
        let entry = entries[Int(index)]
        if entry.newer != 0 {
            entries[Int(entry.newer)].older = entry.older
        } else {
            newest = entry.older
        }
        if entry.older != 0 {
            entries[Int(entry.older)].newer = entry.newer
        } else {
            oldest = entry.newer
        }
    }
}
