// LruReferenceTests: the exact LRU against sequences worked out by hand and against a slow model,
// the count of different objects, and the schedule: what the feed computes from a trace alone.

import Load
import Testing

/// A request for an object of so many bytes, of which the key has 11.
private func request(
    _ object: UInt64, _ bytes: UInt32 = 100, _ operation: TraceOperation = .get,
    ttl: UInt32 = 0
) -> TraceRequest {
    var request = TraceRequest()
    request.object = object
    request.keyBytes = 11
    request.valueBytes = bytes - 11
    request.operation = operation
    request.ttlSeconds = ttl
    return request
}

/// A reference that may be played within an expectation.
private final class Reference {
    private var lru: LruReference
    init(capacityBytes: UInt64, overheadBytes: UInt64) throws {
        lru = try LruReference(capacityBytes: capacityBytes, overheadBytes: overheadBytes)
    }
    var usedBytes: UInt64 { lru.usedBytes }
    var objectCount: UInt64 { lru.objectCount }
    func play(_ request: TraceRequest, at time: UInt64, fills: Bool) -> Bool {
        lru.play(request, at: time, fills: fills)
    }
}

/// Whether each get in turn is a hit, in an LRU for `room` objects of 512 bytes.
private func hits(_ objects: [UInt64], room: UInt64) throws -> String {
    let lru = try Reference(capacityBytes: room * 512, overheadBytes: 12)
    return objects.map { object in
        lru.play(request(object, 500), at: 0, fills: true) ? "H" : "-"
    }.joined()
}

@Test(
    arguments: [
        ([1, 1, 1], "-HH"),
        ([1, 2, 1, 2], "--HH"),
        // A loop of one more than there is room for never hits.
        ([1, 2, 3, 1, 2, 3, 1], "-------"),
        // The use of 1 saves it; 2 goes.
        ([1, 2, 1, 3, 1, 2], "--H-H-"),
        ([1, 2, 2, 1, 3, 2, 1], "--HH---"),
    ] as [([UInt64], String)])
func twoObjectsFit(objects: [UInt64], wanted: String) throws {
    #expect(try hits(objects, room: 2) == wanted)
}

@Test func threeObjectsFit() throws {
    #expect(try hits([1, 2, 3, 1, 4, 2, 5, 1, 4], room: 3) == "---H--" + "---")
    #expect(try hits([1, 2, 3, 3, 2, 1, 4, 3, 1], room: 3) == "---HHH--H")
}

@Test func bytesAndOverheadCount() throws {
    let lru = try Reference(capacityBytes: 1024, overheadBytes: 24)
    #expect(!lru.play(request(1, 1001), at: 0, fills: true))
    // Larger than everything: not taken.
    #expect(lru.objectCount == 0)
    #expect(!lru.play(request(1, 1000), at: 0, fills: true))
    #expect(lru.usedBytes == 1024)
    #expect(!lru.play(request(2, 100), at: 0, fills: true))
    #expect(lru.objectCount == 1)
    #expect(lru.usedBytes == 124)
    // A set changes the size.
    #expect(lru.play(request(2, 300, .set), at: 0, fills: true))
    #expect(lru.usedBytes == 324)
    #expect(lru.play(request(2, 111, .append), at: 0, fills: true))
    #expect(lru.usedBytes == 424)
    #expect(lru.play(request(2, 900, .append), at: 0, fills: true))
    // It grew beyond the capacity.
    #expect(lru.objectCount == 0)
    #expect(lru.usedBytes == 0)
}

@Test func writesDoWhatTheySay() throws {
    let lru = try Reference(capacityBytes: 4096, overheadBytes: 0)
    func play(_ operation: TraceOperation) -> Bool {
        lru.play(request(9, 100, operation), at: 0, fills: false)
    }
    #expect(!play(.get))
    #expect(!play(.get), "nothing fills")
    #expect(!play(.replace) && !play(.get))
    #expect(!play(.cas) && !play(.append) && !play(.incr) && !play(.get))
    #expect(!play(.add) && play(.get))
    #expect(play(.add) && play(.replace) && play(.cas) && play(.incr))
    #expect(play(.delete) && !play(.get) && !play(.delete))
    #expect(!play(.set) && play(.gets))
}

@Test func objectsExpire() throws {
    let lru = try Reference(capacityBytes: 4096, overheadBytes: 0)
    _ = lru.play(request(1, 100, .set, ttl: 10), at: 5, fills: true)
    #expect(lru.play(request(1), at: 14, fills: true))
    #expect(!lru.play(request(1), at: 15, fills: true))
    #expect(lru.play(request(1), at: 1 << 40, fills: true))
}

/// A list, newest first: too slow to be wrong.
private struct SlowLru {
    var entries: [(object: UInt64, bytes: UInt64)] = []
    let capacity: UInt64

    mutating func get(_ object: UInt64, _ bytes: UInt64) -> Bool {
        if let index = entries.firstIndex(where: { $0.object == object }) {
            entries.insert(entries.remove(at: index), at: 0)
            return true
        }
        guard bytes <= capacity else { return false }
        while entries.reduce(0, { $0 + $1.bytes }) + bytes > capacity { entries.removeLast() }
        entries.insert((object, bytes), at: 0)
        return false
    }

    mutating func delete(_ object: UInt64) { entries.removeAll { $0.object == object } }
}

@Test(arguments: [1, 2, 3] as [UInt64])
func itAgreesWithASlowOne(seed: UInt64) throws {
    var random = RandomStream(seed: seed, stream: 0)
    let lru = try Reference(capacityBytes: 4096, overheadBytes: 8)
    var slow = SlowLru(capacity: 4096)
    for step in 0..<20_000 {
        let object = random.next(below: 10) * random.next(below: 10)
        if random.next(below: 20) == 0 {
            _ = lru.play(request(object, 100, .delete), at: 0, fills: true)
            slow.delete(object)
        } else {
            let bytes = UInt32(50 + object * 17)
            let isHit = lru.play(request(object, bytes), at: 0, fills: true)
            #expect(isHit == slow.get(object, UInt64(bytes) + 8), "step \(step)")
        }
        #expect(lru.usedBytes == slow.entries.reduce(0) { $0 + $1.bytes })
        #expect(lru.objectCount == UInt64(slow.entries.count))
    }
}

@Test func fewObjectsAreCounted() throws {
    var objects = try DistinctObjects(exactMax: 1000)
    for _ in 0..<3 {
        for object in 0..<1000 as Range<UInt64> { objects.see(object, bytes: 10 + object) }
    }
    objects.see(5, bytes: nil)
    #expect(objects.isExact)
    #expect(objects.count == 1000)
    #expect(objects.bytes == 10_000 + 999 * 500)
    objects.see(5, bytes: 1015)
    #expect(objects.bytes == 11_000 + 999 * 500)
}

@Test func manyObjectsAreEstimated() throws {
    var objects = try DistinctObjects(exactMax: 4096)
    for _ in 0..<2 {
        for object in 0..<300_000 as Range<UInt64> { objects.see(object * 64, bytes: 100) }
    }
    #expect(!objects.isExact)
    // Four times the standard error of a sample of 2048 at least.
    #expect(abs(Double(objects.count) / 300_000 - 1) < 0.09)
    #expect(objects.bytes == objects.count * 100)
}

// MARK: The schedule

@Test func requestsOfASecondAreSpreadOverIt() {
    var schedule = ReplaySchedule(.times(10))
    // Nothing is known of the first second: all at once. Then by the count of the one before.
    let times: [UInt64] = [100, 100, 100, 100, 101, 101, 101, 101, 102, 102, 102, 102, 102, 105]
    let due = times.map { schedule.due($0) }
    let milliseconds = due.map { $0 / 1_000_000 }
    #expect(
        milliseconds == [0, 0, 0, 0, 100, 125, 150, 175, 200, 225, 250, 275, 280, 500])
    #expect(schedule.span == 5)
    #expect(schedule.time == 105)
}

@Test func timeNeverGoesBack() {
    var schedule = ReplaySchedule(.times(1))
    #expect([5, 7, 6, 4, 8].map { schedule.due($0) / 1_000_000_000 } == [0, 2, 2, 2, 3])
    var jumping = ReplaySchedule(.times(0.001))
    #expect(jumping.due(0) == 0)
    #expect(jumping.due(.max) > 1 << 60)
    var full = ReplaySchedule(.full)
    #expect([1, 5, 9].map { full.due($0) } == [0, 0, 0])
    #expect(full.span == 8)
}
