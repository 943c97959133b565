// Stepped: a store of two workers over files in memory, whose threads step when they are told to.
// For tests of one situation; `StoreSimulation` plays all of them.

import Primitives
import Store
import StoreSimulation
import Support
import Testing

final class Stepped {
    let store: TieredStore
    let played: PlayedStore
    /// The door of a worker with little to do, and of one with much.
    var quiet: Door
    var busy: Door
    var now: ClockReading
    private var isClosed = false
    /// Whether recovery makes its steps.
    var recovers = true

    static let beginning = ClockReading(
        nanoseconds: 1 << 40, unixNanoseconds: 1_700_000_000_000_000_000)

    /// `onceOpen` is called between the opening of the files and the first step.
    init(
        _ home: MemoryHome, memoryBytes: Int, sizeBytes: Int, at now: ClockReading,
        itemBytesMax: Int = 1 << 20, ordersAhead: UInt64 = 1 << 28, commitMilliseconds: Int = 50,
        onceOpen: () -> Void = {}
    ) throws {
        home.revive()
        var configuration = StoreConfiguration(
            memoryBytes: memoryBytes, workers: 2, itemBytesMax: itemBytesMax)
        configuration.disk = DiskConfiguration(
            directory: "memory", sizeBytes: sizeBytes, isAcknowledging: false,
            flushIntervalMilliseconds: commitMilliseconds)
        configuration.disk?.ordersAhead = ordersAhead
        store = try TieredStore(
            configuration: configuration, events: EventLog(threshold: .error) { _, _ in },
            home: home, now: now.unixSeconds)
        onceOpen()
        played = try #require(try PlayedStore(store, at: now) { _ in })
        quiet = store.door(worker: 0)
        busy = store.door(worker: 1)
        self.now = now
    }

    /// One step of each thread, and the time that the committer wants to pass, a millisecond at
    /// most.
    @discardableResult
    func step() -> NextStep {
        _ = played.stepMaintenance(at: now)
        if recovers { _ = played.stepRecovery(at: now) }
        let next = played.stepCommitter(at: now)
        switch next {
        case .nothing, .cut, .ended: pass(10_000)
        case .time(let time), .bell(let time):
            pass(min(time, now.nanoseconds + 1_000_000) - min(time, now.nanoseconds) + 1000)
        }
        if !isClosed {
            turn(&quiet) { _ in }
            turn(&busy) { _ in }
        }
        return next
    }

    /// Lets the committer complete all that was changed so far; false if it does not get there.
    func commit() -> Bool {
        let begun = played.commits.begun
        for _ in 0..<10_000 {
            step()
            #expect(played.checkCommitter() == nil)
            if played.commits.completed > begun { return true }
            _ = set("tick", [1], isQuiet: false)
        }
        return false
    }

    private func pass(_ nanoseconds: UInt64) {
        now.nanoseconds += nanoseconds
        now.unixNanoseconds += nanoseconds
    }

    private func turn<R>(_ door: inout Door, _ body: (inout Door) -> R) -> R {
        door.beginTurn(now: now.unixSeconds)
        defer { door.endTurn() }
        return body(&door)
    }

    /// Whether a value was stored.
    func set(
        _ name: String, _ value: [UInt8], isQuiet: Bool, expiry: UInt32 = 0,
        isExpired: Bool = false
    ) -> Bool {
        let key = Array(name.utf8)
        let body: (inout Door) -> Bool = { door in
            let outcome = door.store(
                .set, key: key.span, hash: door.hash(key.span), value: value.span, flags: 0,
                expiry: expiry, isExpired: isExpired, cas: 0)
            if case .stored = outcome { return true }
            return false
        }
        return isQuiet ? turn(&quiet, body) : turn(&busy, body)
    }

    /// Whether a tombstone was written.
    func delete(_ name: String, isQuiet: Bool) -> Bool {
        let key = Array(name.utf8)
        let body: (inout Door) -> Bool = { door in
            let outcome = door.remove(key.span, hash: door.hash(key.span))
            switch outcome {
            case .deleted, .notFound: return true
            default: return false
            }
        }
        return isQuiet ? turn(&quiet, body) : turn(&busy, body)
    }

    func flushAll(at second: UInt32? = nil) { turn(&quiet) { $0.flushAll(at: second) } }

    /// Stores values of 14 KB with steps in between; answers how many.
    @discardableResult
    func fill(_ count: Int, from first: Int) -> Int {
        let value = [UInt8](repeating: 7, count: 14_000)
        var stored = 0
        for number in first..<first + count {
            if set("key:\(number)", value, isQuiet: false) { stored += 1 }
            if number % 4 == 0 { step() }
        }
        return stored
    }

    /// What the index knows, without a look that would count as a hit.
    func isKnown(_ name: String) -> Bool { played.slotCount(Array(name.utf8).span) > 0 }
    func isOnDiskOnly(_ name: String) -> Bool { describes(name, "no frame") }
    /// Whether what the index knows of a key is told with this word.
    func describes(_ name: String, _ word: String) -> Bool {
        played.describe(Array(name.utf8).span).contains(word)
    }

    /// Removes what a set that failed was to replace; whether that holds over restarts.
    func forget(_ name: String) -> Bool {
        let key = Array(name.utf8)
        return turn(&quiet) { $0.forget(key.span, hash: $0.hash(key.span)) }
    }

    /// Asks for the segment of a read to be loaded, instead of reading.
    func requestLoad(_ read: DiskRead) { turn(&quiet) { $0.requestLoad(read) } }

    /// Begins a read, if the key is on disk only.
    func beginRead(_ name: String) -> DiskRead? {
        let key = Array(name.utf8)
        return turn(&quiet) { door in
            switch door.find(key.span, hash: door.hash(key.span)) {
            case .miss, .dead: return nil
            case .memory(let found):
                door.release(found)
                return nil
            case .disk(let read): return read
            }
        }
    }

    /// A touch, gat or mg that ends a key at once; whether it found nothing.
    func end(_ name: String, by command: Ending) -> Bool {
        let key = Array(name.utf8)
        return turn(&quiet) { door in
            let hash = door.hash(key.span)
            switch command {
            case .touch:
                let outcome = door.touch(key.span, hash: hash, expiry: 0, isExpired: true)
                if case .notFound = outcome { return true }
            case .gat:
                let lookup = door.findTouching(
                    key.span, hash: hash, expiry: 0, isExpired: true, valueBytesMax: 1000)
                if case .miss = lookup { return true }
            case .metaGet:
                var get = MetaGet()
                get.touch = MetaExpiry(second: 0, isOver: true)
                if case .miss = door.metaGet(get, key: key.span, hash: hash) { return true }
            case .vivify:
                var get = MetaGet()
                get.vivify = MetaExpiry(second: 0, isOver: true)
                if case .made = door.metaGet(get, key: key.span, hash: hash) { return true }
            }
            return false
        }
    }
    enum Ending: CaseIterable, Sendable { case touch, gat, metaGet, vivify }

    /// A read that brings nothing sound.
    func readDamaged(_ read: DiskRead) { turn(&quiet) { $0.drop(read, isDamaged: true) } }

    func load(_ read: DiskRead) { turn(&quiet) { $0.requestLoad(read) } }

    /// All steps of recovery that are left.
    func recover() {
        var steps = 0
        while played.stepRecovery(at: now, isHelper: steps % 2 == 1) != .ended, steps < 100_000 {
            steps += 1
        }
    }

    /// Whether a get finds something, in memory or on disk.
    func isThere(_ name: String) -> Bool {
        let key = Array(name.utf8)
        return turn(&quiet) { door in
            switch door.find(key.span, hash: door.hash(key.span)) {
            case .miss, .dead: return false
            case .memory(let found):
                door.release(found)
                return true
            case .disk(let read):
                door.abandon(read)
                return true
            }
        }
    }

    /// What a get answers; nil: a miss. Of a value in several frames, the beginning.
    ///
    /// - Parameter isKept: what is read may be kept in memory.
    func value(_ name: String, _ home: MemoryHome, isKept: Bool = false) throws -> [UInt8]? {
        let key = Array(name.utf8)
        let buffer = try Region.map(byteCount: 4 << 20)
        defer { buffer.discardAll() }
        var except = Differing()
        for _ in 0..<100 {
            let lookup = turn(&quiet) { door in
                door.find(key.span, hash: door.hash(key.span), except: except)
            }
            switch lookup {
            case .miss, .dead: return nil
            case .memory(let found):
                defer { quiet.release(found) }
                guard found.isChained, let pin = quiet.pin(found) else {
                    return bytes(quiet.memory, found.valueOffset, found.valueBytes)
                }
                defer { quiet.unpin(pin) }
                let piece = quiet.piece(pin, from: 0)
                return bytes(quiet.memory, piece.offset, piece.count)
            case .disk(let read):
                switch follow(read, key, home, buffer) {
                case .record(let record):
                    turn(&quiet) { door in
                        isKept ? door.finish(read, record, in: buffer) : door.abandon(read)
                    }
                    return bytes(buffer, record.valueOffset, record.valueBytes)
                case .damaged:
                    readDamaged(read)
                    return nil
                case .dead:
                    turn(&quiet) { $0.drop(read, isDamaged: false) }
                    return nil
                case .other:
                    turn(&quiet) { $0.exclude(read, in: &except) }
                case .beyond, .more:
                    load(read)
                    for _ in 0..<20 { step() }
                }
            }
        }
        Issue.record("a get of \(name) is never answered")
        return nil
    }

    /// What a read brings; `beyond` for what has to be loaded.
    private func follow(
        _ read: DiskRead, _ key: [UInt8], _ home: MemoryHome, _ buffer: Region
    ) -> Examined {
        guard !read.isLoad else { return .beyond }
        var count = read.firstBytes
        while true {
            guard let found = home.read(at: read.fileOffset, count: count) else { return .damaged }
            buffer.store(found.span, at: 0)
            let examined = turn(&quiet) {
                $0.examine(read, key: key.span, in: buffer, at: 0, count: found.count)
            }
            guard case .more(let total) = examined, total > count else { return examined }
            count = total
        }
    }

    private func bytes(_ region: Region, _ offset: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { region.uint8(at: offset + $0) }
    }

    /// The number of a key's record in memory; nil if there is none.
    func cas(_ name: String) -> UInt64? {
        let key = Array(name.utf8)
        return turn(&quiet) { door in
            guard case .memory(let found) = door.find(key.span, hash: door.hash(key.span)) else {
                return nil
            }
            door.release(found)
            return found.cas
        }
    }

    /// Ends the store; answers the time that took, and whether everything is on disk.
    func stop() -> (nanoseconds: UInt64, isCommitted: Bool) {
        let began = now.nanoseconds
        quiet.close()
        busy.close()
        isClosed = true
        played.stop(deadline: began + 4_500_000_000)
        var steps = 0
        while step() != .ended, steps < 100_000 { steps += 1 }
        return (now.nanoseconds - began, !played.isUncommitted)
    }

    /// The process is killed, and another one begins; all that the disk holds is known.
    func crash(_ home: MemoryHome, memoryBytes: Int, sizeBytes: Int) throws -> Stepped {
        home.die()
        played.discardMemory()
        let next = try Stepped(home, memoryBytes: memoryBytes, sizeBytes: sizeBytes, at: now)
        next.recover()
        return next
    }
}
