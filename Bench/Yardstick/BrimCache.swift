// BrimCache: the server's store, driven by one thread: a turn per request, workers in rotation,
// and the housekeeping between turns when frames are short.

internal import Primitives
internal import Store

/// A store behind get and set of key numbers.
final class BrimCache {
    /// Unix seconds that the store is told.
    private(set) var now: UInt32 = 1_700_000_000
    private let store: SteppedStore
    private let pens: [Pen]
    private var turn = 0
    /// What values are made of.
    private let values: Region

    /// A door in a box, since doors cannot be copied into an array.
    private final class Pen {
        var door: Door
        init(_ door: consuming Door) { self.door = door }
    }

    init(memoryBytes: Int, workers: Int, seed: UInt64) throws(MemoryError) {
        store = try SteppedStore(
            memoryBytes: memoryBytes, workers: workers, itemBytesMax: 1 << 20, seed: seed)
        var pens: [Pen] = []
        for worker in 0..<workers { pens.append(Pen(store.door(worker: worker))) }
        self.pens = pens
        values = try Region.map(byteCount: 8192)
    }

    func advanceSecond() {
        now += 1
        if now % 2 == 0 { store.takeBackExpired(now: now) }
    }

    func get(_ number: UInt32) -> Bool {
        let key = Self.spelled(number)
        let pen = nextPen()
        let hash = pen.door.hash(key.span)
        pen.door.beginTurn(now: now)
        defer { pen.door.endTurn() }
        guard case .memory(let found) = pen.door.find(key.span, hash: hash) else { return false }
        pen.door.release(found)
        return true
    }

    func set(_ number: UInt32, valueBytes: Int, expiry: UInt32) {
        let key = Self.spelled(number)
        let pen = nextPen()
        let hash = pen.door.hash(key.span)
        while true {
            pen.door.beginTurn(now: now)
            let outcome = values.withBytes(0, valueBytes) { value in
                pen.door.store(
                    .set, key: key.span, hash: hash, value: value, flags: 0, expiry: expiry,
                    isExpired: false, cas: 0)
            }
            pen.door.endTurn()
            if store.isShortOfFrames { store.keepFramesFree(now: now) }
            if case .wait = outcome { continue }
            guard case .stored = outcome else { preconditionFailure("a set was refused") }
            return
        }
    }

    private func nextPen() -> Pen {
        turn += 1
        return pens[turn % pens.count]
    }

    /// The key of a number: sixteen hexadecimal digits.
    private static func spelled(_ number: UInt32) -> [16 of UInt8] {
        [16 of UInt8] { place in
            let digit = UInt8(UInt64(number) >> UInt64(60 - 4 * place) & 15)
            return digit < 10 ? 48 + digit : 87 + digit
        }
    }

    var itemCount: Int { store.itemCount }

    func notes() -> String {
        let names = [
            "promotions", "recirculations", "ghostHits", "overwrites", "segmentsDropped",
            "promotionsDropped", "segmentsCleaned", "evictions", "expired", "waits",
        ]
        let counts = names.map { "\($0) \(store.counter($0))" }.joined(separator: ", ")
        return "frames \(store.frames), regions \(store.regions), "
            + "index \(store.indexBytes >> 10) KiB, live \(store.liveBytes >> 10) KiB, \(counts)"
    }

    func close() { store.close() }
}
