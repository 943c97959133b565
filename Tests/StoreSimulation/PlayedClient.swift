// PlayedClient: a door, used as a worker with one connection would use it. Where a worker waits,
// others make steps; a get that reads from disk does so while they change the key.

import Primitives
import Store
import Support

/// What a change came to; `stuck`: it was given up after many steps, and nothing has changed.
enum Answer: Equatable {
    case stored, notStored, exists, notFound, deleted, touched, notNumeric, tooLarge, noOrder
    case stuck
    case number(UInt64)
}

/// A value as a get answers it.
struct PlayedItem {
    var bytes: [UInt8]
    var flags: UInt32
    var expiry: UInt32
    var cas: UInt64
}

final class PlayedClient {
    let number: Int
    var door: Door
    /// Executes a command.
    private(set) var isBusy = false
    /// The store has asked for an empty turn.
    var isWoken = false
    /// The second that the door was told last.
    private(set) var lastTurn: UInt32 = 0
    /// The second in which a get has found what it answers; it may answer later.
    private(set) var lastLook: UInt32 = 0
    private let buffer: Region
    private var heldReads: [DiskRead] = []
    /// The world around it: `idle` makes some steps of others, false when there is no going on.
    unowned let play: Play

    init(_ store: TieredStore, number: Int, _ play: Play, buffer: Region) {
        self.number = number
        self.play = play
        self.buffer = buffer
        door = store.door(worker: number)
    }

    func begin() {
        lastTurn = play.now.unixSeconds
        door.beginTurn(now: lastTurn)
        play.didBeginTurn(now: lastTurn)
    }

    func turn() {
        isWoken = false
        begin()
        door.endTurn()
    }

    /// Lets others go on until `condition` holds; false: it never did.
    private func wait(for what: String, until condition: () -> Bool) -> Bool {
        // Who executes a command around this one cannot go on before this one has ended.
        let isAlone =
            !play.isCommitting && !play.clients.contains { $0 !== self && $0.isBusy }
        var patience = !isAlone ? 200 : play.home.plan.isHarmless ? Play.patience : 400
        while !condition() {
            guard play.idle(self), patience > 0 else {
                // A worker refuses what memory cannot hold beside what has arrived for it.
                if patience == 0, isAlone, play.holdsWanted(beside: stagedBytes) {
                    play.didStarve(what)
                }
                return false
            }
            patience -= 1
            turn()
        }
        return true
    }

    func busily<R>(_ body: () -> R) -> R {
        precondition(!isBusy)
        isBusy = true
        defer { isBusy = false }
        return body()
    }

    // MARK: Reading

    enum Got {
        case miss
        case item(PlayedItem)
        case stuck
    }

    func get(_ key: [UInt8]) -> Got {
        let hash = door.hash(key.span)
        var except = Differing()
        for _ in 0..<50 {
            begin()
            lastLook = lastTurn
            switch door.find(key.span, hash: hash, except: except) {
            case .miss, .dead:
                door.endTurn()
                return .miss
            case .memory(let found):
                let item = copy(found)
                door.endTurn()
                guard let item else { return .stuck }
                return .item(item)
            case .disk(let read):
                door.endTurn()
                switch follow(read, key, &except) {
                case .again: continue
                case .miss: return .miss
                case .stuck: return .stuck
                case .record(let record):
                    let item = PlayedItem(
                        bytes: bytes(buffer, record.valueOffset, record.valueBytes),
                        flags: record.flags, expiry: record.expiry, cas: record.cas)
                    begin()
                    door.finish(read, record, in: buffer)
                    door.endTurn()
                    return .item(item)
                }
            }
        }
        play.didStarve("the end of a get")
        return .stuck
    }

    /// What a look in this turn finds at once; a disk read is not made.
    func look(_ key: [UInt8]) -> Got {
        switch door.find(key.span, hash: door.hash(key.span)) {
        case .miss, .dead: return .miss
        case .memory(let found):
            door.release(found)
            return .stuck
        case .disk(let read):
            door.abandon(read)
            return .stuck
        }
    }

    /// gat; `settle` is called in the turn in which it is done, with the value or nil.
    func gat(
        _ key: [UInt8], expiry: UInt32, isExpired: Bool, settle: (PlayedItem?) -> Void
    ) {
        let hash = door.hash(key.span)
        var except = Differing()
        for _ in 0..<50 {
            let frames = door.news().frames
            begin()
            let lookup = door.findTouching(
                key.span, hash: hash, expiry: expiry, isExpired: isExpired,
                valueBytesMax: .max, except: except)
            switch lookup {
            case .miss, .dead:
                settle(nil)
                door.endTurn()
                return
            case .found(let found):
                let item = PlayedItem(
                    bytes: bytes(door.memory, found.valueOffset, found.valueBytes),
                    flags: found.flags, expiry: found.expiry, cas: found.cas)
                door.release(found)
                settle(item)
                door.endTurn()
                return
            case .large(let found):
                guard gatLarge(key, found, expiry, isExpired, settle) else { continue }
                return
            case .noOrder:
                door.endTurn()
                return
            case .wait:
                door.endTurn()
                guard wait(for: "memory", until: { door.news().frames != frames }) else { return }
            case .read(let read):
                door.endTurn()
                switch follow(read, key, &except) {
                case .again, .miss: continue
                case .stuck: return
                case .record(let record): guard bring(read, record) else { return }
                }
            }
        }
    }

    /// False: all over again. The key's shard is locked.
    private func gatLarge(
        _ key: [UInt8], _ found: Found, _ expiry: UInt32, _ isExpired: Bool,
        _ settle: (PlayedItem?) -> Void
    ) -> Bool {
        let pin = door.pin(found)
        door.release(found)
        guard let pin else {
            door.endTurn()
            return !play.idle(self)
        }
        // What other workers could do between the two.
        door.endTurn()
        let isAlive = play.idle(self)
        begin()
        defer {
            door.unpin(pin)
            door.endTurn()
        }
        guard isAlive else { return true }
        let outcome = door.touch(
            key.span, hash: door.hash(key.span), expiry: expiry, isExpired: isExpired,
            record: found.recordOffset)
        switch outcome {
        case .touched:
            settle(
                PlayedItem(
                    bytes: bytes(of: pin), flags: found.flags, expiry: found.expiry,
                    cas: found.cas))
        case .notFound: settle(nil)
        case .read(let read):
            door.abandon(read)
            return false
        default: return false
        }
        return true
    }

    private func bytes(of pin: Pin) -> [UInt8] {
        var all: [UInt8] = []
        while all.count < pin.valueBytes {
            let (offset, count) = door.piece(pin, from: all.count)
            guard count > 0 else {
                play.fail("a value of \(pin.valueBytes) ended after \(all.count)")
                break
            }
            all += bytes(door.memory, offset, count)
        }
        return all
    }

    private func bytes(_ region: Region, _ offset: Int, _ count: Int) -> [UInt8] {
        region.withBytes(offset, count) { span in span.withUnsafeBufferPointer { Array($0) } }
    }

    /// The key's shard is locked; it is not any more when this returns. A large value is sent while
    /// others go on.
    private func copy(_ found: Found) -> PlayedItem? {
        var item = PlayedItem(bytes: [], flags: found.flags, expiry: found.expiry, cas: found.cas)
        if !found.isChained, found.valueBytes <= Door.copyBytesMax {
            item.bytes = bytes(door.memory, found.valueOffset, found.valueBytes)
            door.release(found)
            return item
        }
        let pin = door.pin(found)
        door.release(found)
        guard let pin else { return nil }
        while item.bytes.count < pin.valueBytes {
            let (offset, count) = door.piece(pin, from: item.bytes.count)
            guard count > 0 else {
                play.fail("a value of \(pin.valueBytes) ended after \(item.bytes.count)")
                break
            }
            item.bytes += bytes(door.memory, offset, count)
            if item.bytes.count < pin.valueBytes {
                door.endTurn()
                guard play.idle(self) else { return nil }
                begin()
            }
        }
        door.unpin(pin)
        return item
    }

    private enum Followed {
        case again, miss, stuck
        /// The record lies in the buffer; the read has not ended.
        case record(DiskRecord)
    }

    private func load(_ read: DiskRead) -> Followed {
        let seen = door.news().loads
        begin()
        door.requestLoad(read)
        door.endTurn()
        return wait(for: "a load") { door.news().loads != seen } ? .again : .stuck
    }

    private func follow(_ read: DiskRead, _ key: [UInt8], _ except: inout Differing) -> Followed {
        if read.isLoad { return load(read) }
        guard var count = fetch(read, read.firstBytes) else { return .stuck }
        while true {
            begin()
            let examined = door.examine(read, key: key.span, in: buffer, at: 0, count: count)
            switch examined {
            case .other:
                door.exclude(read, in: &except)
            case .dead: door.drop(read, isDamaged: false)
            case .damaged:
                play.didMeetDamage()
                door.drop(read, isDamaged: true)
            case .record, .more, .beyond: break
            }
            door.endTurn()
            switch examined {
            case .record(let record): return .record(record)
            case .other: return .again
            case .dead, .damaged: return .miss
            case .beyond: return load(read)
            case .more(let total):
                guard total > count, total <= buffer.byteCount else {
                    play.fail("a read wants \(total) bytes after \(count)")
                    return .stuck
                }
                guard let more = fetch(read, total) else { return .stuck }
                count = more
            }
        }
    }

    /// A disk read; others go on meanwhile. Nil: the process is dead.
    private func fetch(_ read: DiskRead, _ count: Int) -> Int? {
        for _ in 0..<play.latency() { guard play.idle(self) else { return nil } }
        guard let found = play.home.read(at: read.fileOffset, count: count) else {
            return play.isDead ? nil : -5
        }
        buffer.store(found.span, at: 0)
        for _ in 0..<play.latency() { guard play.idle(self) else { return nil } }
        return found.count
    }

    // MARK: Changing

    /// Executes a change until it is done; `settle` is called in the turn in which it was, before
    /// anything else can happen.
    func change(
        _ key: [UInt8], _ body: (inout Door, UInt64, Differing) -> Outcome,
        settle: (Answer) -> Void
    ) {
        let hash = door.hash(key.span)
        var except = Differing()
        var holdsBoth = true
        for _ in 0..<50 {
            let frames = door.news().frames
            begin()
            let outcome = body(&door, hash, except)
            if let answer = Self.answer(outcome) { settle(answer) }
            door.endTurn()
            switch outcome {
            case .wait:
                guard wait(for: "memory", until: { door.news().frames != frames }) else {
                    return settle(.stuck)
                }
            case .read(let read):
                holdsBoth = play.holdsTwice(read)
                switch follow(read, key, &except) {
                case .again, .miss: continue
                case .stuck: return settle(.stuck)
                case .record(let record):
                    guard bring(read, record) else { return settle(.stuck) }
                }
            default: return
            }
        }
        settle(.stuck)
        // A worker refuses what memory, of which the index may have taken half, cannot hold.
        if holdsBoth, play.holdsWanted(beside: stagedBytes) {
            play.didStarve("the end of a change")
        }
    }

    private static func answer(_ outcome: Outcome) -> Answer? {
        switch outcome {
        case .stored: .stored
        case .notStored: .notStored
        case .exists: .exists
        case .notFound: .notFound
        case .deleted: .deleted
        case .touched: .touched
        case .notNumeric: .notNumeric
        case .tooLarge: .tooLarge
        case .number(let number): .number(number)
        case .noOrder: .noOrder
        case .wait, .read: nil
        }
    }

    private func bring(_ read: DiskRead, _ record: DiskRecord) -> Bool {
        begin()
        let isDone = door.bring(read, record, in: buffer)
        if !isDone { door.abandon(read) }
        door.endTurn()
        if isDone { return true }
        let frames = door.news().frames
        return wait(for: "memory to read into", until: { door.news().frames != frames })
    }

    // MARK: Others

    /// Begins a read from disk that takes long, if the key is on disk only.
    func holdRead(_ key: Int) {
        guard !isBusy else { return }
        let name = Array("key:\(key)".utf8)
        begin()
        switch door.find(name.span, hash: door.hash(name.span)) {
        case .miss, .dead: break
        case .memory(let found): door.release(found)
        case .disk(let read): heldReads.append(read)
        }
        door.endTurn()
    }

    func endHeldReads() {
        begin()
        for read in heldReads { door.abandon(read) }
        heldReads = []
        door.endTurn()
    }

    /// Sets some of many keys, in one turn, as far as there is memory for them.
    ///
    /// - Parameter valueBytes: 0: the key is the value.
    func crowd(_ chance: inout Chance, keys: Int, count: Int, valueBytes: Int = 0) {
        begin()
        let filling = [UInt8](repeating: 0x63, count: valueBytes)
        for _ in 0..<count {
            let name = Array("crowd:\(chance.below(keys))".utf8)
            let outcome = door.store(
                .set, key: name.span, hash: door.hash(name.span),
                value: valueBytes == 0 ? name.span : filling.span, flags: 0, expiry: 0,
                isExpired: false, cas: 0)
            // Several slots may be the key's, and would have to be read.
            if case .read(let read) = outcome { door.abandon(read) }
            if case .wait = outcome { break }
        }
        door.endTurn()
    }

    /// Bytes of a value that has arrived in pieces, and is not stored yet; 0 for none.
    var stagedBytes = 0

    /// Room for a value that arrives in pieces, while others go on; nil: there was none.
    func stage(_ key: [UInt8], _ value: [UInt8], flags: UInt32, expiry: UInt32) -> Staging? {
        let hash = door.hash(key.span)
        var staging: Staging?
        let isOpen = wait(for: "room for a value") {
            begin()
            staging = door.openStaging(
                key: key.span, hash: hash, valueBytes: value.count, flags: flags, expiry: expiry)
            door.endTurn()
            return staging != nil
        }
        guard isOpen, let staging else { return nil }
        var done = 0
        while done < value.count {
            let (offset, count) = door.piece(staging, from: done)
            let part = min(count, value.count - done, 20_000)
            door.memory.store(value.span.extracting(done..<done + part), at: offset)
            done += part
            guard play.idle(self) else { return nil }
        }
        return staging
    }

    func close() { door.close() }
}
