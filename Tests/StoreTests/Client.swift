// Client: a door with a blocking face, as a worker with one connection would use it.
//
// It makes turns while it waits, so that the committer's questions are answered. One thread only.

import Glibc
import Primitives
import Store
import Testing

/// A value as a get answers it.
struct Item: Equatable {
    var value: [UInt8]
    var flags: UInt32
    var expiry: UInt32
    var cas: UInt64
}

/// What a change came to, without what only the server needs.
enum Result: Equatable {
    case stored, notStored, exists, notFound, deleted, touched, notNumeric, tooLarge, stuck
    case number(UInt64)
}

final class Client {
    let store: TieredStore
    let worker: Int
    var door: Door
    /// Unix seconds that the door is told.
    var now: UInt32
    private let buffer: Region
    /// How many gets were answered from disk.
    var diskReads = 0
    var loads = 0
    var moves = 0
    var damaged = 0
    /// Gets and sets that took the short way.
    var hintedGets = 0
    var hintedSets = 0
    /// Every other get, and every other plain set, tries it.
    private var triesGet = false
    private var triesSet = false
    private var isClosed = false

    init(_ store: TieredStore, worker: Int = 0, now: UInt32) {
        self.store = store
        self.worker = worker
        self.now = now
        door = store.door(worker: worker)
        buffer = try! Region.map(byteCount: 4 << 20)
    }

    /// An empty turn.
    func turn() {
        door.beginTurn(now: now)
        door.endTurn()
    }

    /// Makes turns until `condition` holds; answers whether it did in time.
    @discardableResult
    func pump(seconds: Double = 30, until condition: () -> Bool) -> Bool {
        eventually(seconds: seconds) {
            turn()
            return condition()
        }
    }

    /// Everything that was changed so far is on disk when this returns true.
    @discardableResult
    func commit(seconds: Double = 20) -> Bool {
        let barrier = door.barrier()
        return pump(seconds: seconds) { door.news().commits >= barrier }
    }

    /// Turns until nothing was written for a while, and nothing is being written.
    func rest() {
        for _ in 0..<100 {
            let before = store.statistics()
            pump(seconds: 0.2) { false }
            let now = store.statistics()
            if now.commits == before.commits, now.bytesWritten == before.bytesWritten { return }
        }
        Issue.record("the store never comes to rest")
    }

    func recovered() -> Bool { pump { store.statistics().isRecovering == 0 } }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        door.close()
    }

    // MARK: Reading

    func get(_ key: [UInt8]) -> Item? {
        let hash = door.hash(key.span)
        var except = Differing()
        triesGet.toggle()
        while true {
            door.beginTurn(now: now)
            if triesGet, let item = getHinted(key, hash) {
                door.endTurn()
                return item
            }
            switch door.find(key.span, hash: hash, except: except) {
            case .miss, .dead:
                door.endTurn()
                return nil
            case .memory(let found):
                let item = copy(found)
                door.release(found)
                door.endTurn()
                return item
            case .disk(let read):
                door.endTurn()
                switch follow(read, key, &except) {
                case .again: continue
                case .miss: return nil
                case .record(let record):
                    diskReads += 1
                    let item = Item(
                        value: bytes(buffer, record.valueOffset, record.valueBytes),
                        flags: record.flags, expiry: record.expiry, cas: record.cas)
                    door.beginTurn(now: now)
                    door.finish(read, record, in: buffer)
                    door.endTurn()
                    return item
                }
            }
        }
    }

    /// The short way, which answers as the long one or not at all. In a turn.
    private func getHinted(_ key: [UInt8], _ hash: UInt64) -> Item? {
        guard let found = door.findHinted(key.span, hash: hash, hint: hint(hash)) else {
            return nil
        }
        hintedGets += 1
        defer { door.release(found) }
        return copy(found)
    }

    /// What a worker would know of a key before it executes the request. In a turn.
    private func hint(_ hash: UInt64) -> Int {
        let bucket = door.prefetchBucket(hash)
        return door.prefetchRecord(hash, in: bucket)
    }

    func bytes(_ region: Region, _ offset: Int, _ count: Int) -> [UInt8] {
        region.withBytes(offset, count) { span in span.withUnsafeBufferPointer { Array($0) } }
    }

    private func copy(_ found: Found) -> Item {
        var item = Item(value: [], flags: found.flags, expiry: found.expiry, cas: found.cas)
        guard found.isChained else {
            item.value = bytes(door.memory, found.valueOffset, found.valueBytes)
            return item
        }
        guard let pin = door.pin(found) else {
            Issue.record("no pin to be had")
            return item
        }
        while item.value.count < pin.valueBytes {
            let (offset, count) = door.piece(pin, from: item.value.count)
            guard count > 0 else {
                Issue.record("a chain ended early")
                break
            }
            item.value += bytes(door.memory, offset, count)
        }
        door.unpin(pin)
        return item
    }

    enum Followed {
        /// Execute the command again.
        case again
        case miss
        /// The record lies in the buffer; the read has not ended.
        case record(DiskRecord)
    }

    private func follow(_ read: DiskRead, _ key: [UInt8], _ except: inout Differing) -> Followed {
        if read.isLoad {
            let seen = door.news().loads
            door.beginTurn(now: now)
            door.requestLoad(read)
            door.endTurn()
            loads += 1
            if !pump(until: { door.news().loads != seen }) {
                Issue.record("a load never ended")
                return .miss
            }
            return .again
        }
        var count = fetch(read, read.firstBytes)
        while true {
            door.beginTurn(now: now)
            defer { door.endTurn() }
            switch door.examine(read, key: key.span, in: buffer, at: 0, count: count) {
            case .record(let record): return .record(record)
            case .more(let total):
                guard total > count, total <= buffer.byteCount else {
                    Issue.record("a read wants \(total) bytes after \(count)")
                    return .miss
                }
                count = fetch(read, total)
            case .other:
                door.exclude(read, in: &except)
                return .again
            case .dead:
                door.drop(read, isDamaged: false)
                return .miss
            case .beyond:
                let seen = door.news().loads
                door.requestLoad(read)
                moves += 1
                if !pump(until: { door.news().loads != seen }) {
                    Issue.record("a move never ended")
                    return .miss
                }
                return .again
            case .damaged:
                damaged += 1
                door.drop(read, isDamaged: true)
                return .miss
            }
        }
    }

    private func fetch(_ read: DiskRead, _ count: Int) -> Int {
        let address = buffer.uncheckedAddress(at: 0, count: count)
        return pread(door.diskDescriptor, address, count, off_t(read.fileOffset))
    }

    // MARK: Changing

    func change(
        _ key: [UInt8], _ body: (inout Door, UInt64, Differing) -> Outcome
    ) -> Result {
        let hash = door.hash(key.span)
        var except = Differing()
        var hasWaited = false
        while true {
            let frames = door.news().frames
            door.beginTurn(now: now)
            let outcome = body(&door, hash, except)
            door.endTurn()
            switch outcome {
            case .stored: return .stored
            case .notStored: return .notStored
            case .exists: return .exists
            case .notFound: return .notFound
            case .deleted: return .deleted
            case .touched: return .touched
            case .notNumeric: return .notNumeric
            case .tooLarge: return .tooLarge
            case .number(let number): return .number(number)
            case .noOrder: return .stuck
            case .wait:
                if hasWaited, door.isExhausted { return .stuck }
                hasWaited = true
                if !pump(until: { door.news().frames != frames }) { return .stuck }
            case .read(let read):
                guard case .record(let record) = follow(read, key, &except) else { continue }
                if !bring(read, record) { return .stuck }
            }
        }
    }

    private func bring(_ read: DiskRead, _ record: DiskRecord) -> Bool {
        pump {
            door.beginTurn(now: now)
            defer { door.endTurn() }
            return door.bring(read, record, in: buffer)
        }
    }

    func store(
        _ mode: StoreMode, _ key: [UInt8], _ value: [UInt8], flags: UInt32 = 0,
        expiry: UInt32 = 0, isExpired: Bool = false, cas: UInt64 = 0
    ) -> Result {
        if mode == .set, !isExpired {
            triesSet.toggle()
            if triesSet, putHinted(key, value, flags, expiry) { return .stored }
        }
        return change(key) { door, hash, except in
            door.store(
                mode, key: key.span, hash: hash, value: value.span, flags: flags, expiry: expiry,
                isExpired: isExpired, cas: cas, except: except)
        }
    }

    private func putHinted(
        _ key: [UInt8], _ value: [UInt8], _ flags: UInt32, _ expiry: UInt32
    ) -> Bool {
        let hash = door.hash(key.span)
        door.beginTurn(now: now)
        defer { door.endTurn() }
        let isDone = door.putHinted(
            key.span, hash: hash, value: value.span, flags: flags, expiry: expiry,
            hint: hint(hash))
        if isDone { hintedSets += 1 }
        return isDone
    }

    @discardableResult
    func set(_ key: String, _ value: String, expiry: UInt32 = 0) -> Result {
        store(.set, text(key), text(value), expiry: expiry)
    }
    func get(_ key: String) -> String? {
        get(text(key)).map { String(decoding: $0.value, as: UTF8.self) }
    }

    /// The same through a staging that is filled piece by piece.
    func storeStaged(
        _ mode: StoreMode, _ key: [UInt8], _ value: [UInt8], flags: UInt32 = 0,
        expiry: UInt32 = 0, cas: UInt64 = 0, step: Int = 5000
    ) -> Result {
        guard let staging = stage(key, value, flags: flags, expiry: expiry, step: step) else {
            return .stuck
        }
        return change(key) { door, _, except in
            door.store(mode, staging: staging, isExpired: false, cas: cas, except: except)
        }
    }

    func stage(
        _ key: [UInt8], _ value: [UInt8], flags: UInt32 = 0, expiry: UInt32 = 0, step: Int = 5000
    ) -> Staging? {
        let hash = door.hash(key.span)
        var staging: Staging?
        let isOpen = pump {
            door.beginTurn(now: now)
            staging = door.openStaging(
                key: key.span, hash: hash, valueBytes: value.count, flags: flags, expiry: expiry)
            door.endTurn()
            return staging != nil
        }
        guard isOpen, let staging else { return nil }
        var done = 0
        while done < value.count {
            let (offset, count) = door.piece(staging, from: done)
            let part = min(step, count, value.count - done)
            door.memory.store(value.span.extracting(done..<done + part), at: offset)
            done += part
            turn()
        }
        return staging
    }

    func delete(_ key: [UInt8]) -> Result {
        change(key) { door, hash, except in door.remove(key.span, hash: hash, except: except) }
    }
    @discardableResult func delete(_ key: String) -> Result { delete(text(key)) }

    func touch(_ key: [UInt8], expiry: UInt32, isExpired: Bool = false) -> Result {
        change(key) { door, hash, except in
            door.touch(
                key.span, hash: hash, expiry: expiry, isExpired: isExpired, except: except)
        }
    }

    func add(_ delta: UInt64, isDecrement: Bool = false, to key: [UInt8]) -> Result {
        change(key) { door, hash, except in
            door.add(
                delta, isDecrement: isDecrement, key: key.span, hash: hash, except: except)
        }
    }

    func flushAll(at second: UInt32? = nil) {
        door.beginTurn(now: now)
        door.flushAll(at: second)
        door.endTurn()
    }
}

/// A store with one client, opened and closed together.
final class World {
    let store: TieredStore
    let client: Client
    let lines = Lines()
    static var unixNow: UInt32 { UInt32(Clock.unixSeconds()) }

    init(
        memory: Int = 16 << 20, directory: String? = nil, diskBytes: Int = 64 << 20,
        itemMax: Int = 1 << 20, flush: Int = 20, now: UInt32 = World.unixNow
    ) throws {
        let disk = directory.map {
            DiskConfiguration(
                directory: $0, sizeBytes: diskBytes, flushIntervalMilliseconds: flush)
        }
        store = try TieredStore(
            configuration: StoreConfiguration(
                memoryBytes: memory, workers: 1, itemBytesMax: itemMax, disk: disk),
            events: lines.events, now: now)
        client = Client(store, now: now)
        try store.start(wake: { _ in })
    }

    func stop(seconds: UInt64 = 10) {
        client.close()
        store.stop(
            deadlineNanoseconds: Clock.monotonicNanoseconds() + seconds * 1_000_000_000)
    }
}
