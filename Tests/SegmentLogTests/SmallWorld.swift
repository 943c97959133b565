// SmallWorld: a log of a few frames, two keys, and commands small enough to try them in every
// order. It plays worker, maintenance and (with a disk) committer, all on the test's thread.
//
// The commands are made of the log's moves as the store's door makes them; what the disk holds
// is a copy of each committed segment. The model says what each key's value must be.

import Primitives
import SegmentLog

/// One move of the world.
enum Move: UInt8, CaseIterable {
    /// Sets; the second value is longer, so it does not fit over the first.
    case setA, setALonger, setB, setBLonger
    case deleteA, deleteB
    /// Gives the key's record an expiry (two ticks ahead), which makes it a new record.
    case touchA
    /// A get, which counts as a hit; from disk it brings the record into memory.
    case hitA, hitB
    /// Begins a read of the first key from disk, or ends the one that was begun.
    case readA
    case flush, tick
    case seal, commit, evict
    /// The three at once: everything is on disk only.
    case rest
    /// The oldest committed segment leaves the disk.
    case shrink
}

final class SmallWorld {
    /// What a key should answer.
    struct Known: Equatable {
        var serial: UInt64
        var valueBytes: Int
        var expiry: UInt32
    }

    static let keys: [[UInt8]] = [Array("a".utf8), Array("bb".utf8)]
    static let lengths = [16, 40]
    /// The open segment, the one that may be sealed, the promotion region's, and one more to move.
    static let frames = 4

    let log: SegmentLog
    private var writer: Writer
    private var reclaimer: Reclaimer
    private let hashes: [UInt64]
    /// Copies of the committed segments, by number.
    private let disk: Region
    private var committed: [Int] = []
    private var model: [Known?] = [nil, nil]
    private var serial: UInt64 = 0
    private var now: UInt32 = 1000
    private var pending: (slot: UInt64, image: Record, known: Known?)?
    private let readBuffer: Region
    private let numbersFree: Int
    private(set) var misses = 0
    private(set) var reads = 0

    init(hasDisk: Bool) throws {
        let geometry = Geometry(
            memoryBytes: 4 << 20, writers: 2, diskBytes: hasDisk ? 1 << 20 : 0)
        log = try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
        writer = Writer(log, number: 0)
        reclaimer = Reclaimer(log, number: 1)
        let hasher = log.hasher
        hashes = Self.keys.map { hasher.hash($0.span) }
        disk = try Region.map(byteCount: geometry.segmentCount * 4096)
        readBuffer = try Region.map(byteCount: 4096)
        while log.frames.freeCount > Self.frames { _ = writer.takeFreeFrame() }
        numbersFree = log.segments.freeCount
    }

    // MARK: Moves

    func perform(_ move: Move) {
        switch move {
        case .setA: set(0, Self.lengths[0])
        case .setALonger: set(0, Self.lengths[1])
        case .setB: set(1, Self.lengths[0])
        case .setBLonger: set(1, Self.lengths[1])
        case .deleteA: delete(0)
        case .deleteB: delete(1)
        case .touchA: touch(0)
        case .hitA: hit(0)
        case .hitB: hit(1)
        case .readA: pending == nil ? beginRead(0) : endRead(0)
        case .flush: flush()
        case .tick: now += 1
        case .seal: writer.seal()
        case .commit: commit()
        case .evict: for _ in 0..<3 { _ = reclaimer.step(now: now) }
        case .rest: for move in [Move.seal, .commit, .evict] { perform(move) }
        case .shrink: shrink()
        }
    }

    private func flush() {
        _ = log.flushAll()
        model = [nil, nil]
    }

    private func set(_ key: Int, _ valueBytes: Int) {
        let known = Known(serial: serial + 1, valueBytes: valueBytes, expiry: 0)
        guard write(key, known, keepsCas: nil, mayOverwrite: true) else { return }
        serial += 1
        model[key] = known
    }

    private func touch(_ key: Int) {
        guard var known = current(key), case .memory(_, _, let record) = locate(key) else { return }
        known.expiry = now + 2
        guard write(key, known, keepsCas: record.cas(hashes[key]), mayOverwrite: false)
        else { return }
        model[key] = known
    }

    /// Writes the key's record as the door does; false if there is no room.
    private func write(_ key: Int, _ known: Known, keepsCas cas: UInt64?, mayOverwrite: Bool)
        -> Bool
    {
        let fields = RecordFields(expiry: known.expiry, cas: cas ?? 0)
        let keyBytes = Self.keys[key].count
        let total = fields.totalBytes(keyBytes: keyBytes, valueBytes: known.valueBytes)
        let shard = log.index.shard(hashes[key])
        guard let order = writer.nextOrder(shard) else { return false }
        let located = locate(key)
        if case .memory(_, let slot, let old) = located, mayOverwrite,
            case let before = old.totalBytes,
            case let space = writer.space(over: slot, old, old: before, wanted: total), space > 0
        {
            fill(old, fields, key, known, order)
            writer.fillBehind(slot, old, old: before, new: total, space: space)
            writer.noteOverwrite(expiry: known.expiry)
            log.index.setOrder(shard, order)
            return true
        }
        guard writer.makeSpace(total) else { return false }
        fill(writer.tail, fields, key, known, order)
        log.index.setOrder(shard, order)
        let place = writer.advance(total, expiry: known.expiry)
        switch located {
        case .memory(let at, let slot, _): writer.replace(at, slot, with: place)
        case .disk(let at, let slot, _):
            log.index.setMayHide(shard)
            writer.replace(at, slot, with: place)
        case .none: writer.insert(hashes[key], place)
        }
        return true
    }

    private func fill(
        _ record: Record, _ fields: RecordFields, _ key: Int, _ known: Known, _ order: UInt64
    ) {
        let at = record.write(
            fields, order: order, keyBytes: Self.keys[key].count, valueBytes: known.valueBytes)
        let text = Self.keys[key]
        record.region.store(text.span, at: at)
        for byte in 0..<known.valueBytes {
            record.region.store(
                UInt8(truncatingIfNeeded: known.serial >> (8 * UInt64(byte % 8))),
                at: at + Self.keys[key].count + byte)
        }
    }

    private func delete(_ key: Int) {
        switch locate(key) {
        case .memory(let at, let slot, _), .disk(let at, let slot, _):
            writer.remove(hashes[key], at, slot)
        case .none: break
        }
        model[key] = nil
    }

    private func hit(_ key: Int) {
        switch locate(key) {
        case .memory(let at, let slot, let record):
            guard log.isAlive(record, at: now) else {
                return writer.expire(hashes[key], at, slot)
            }
            writer.noteHit(at, slot)
        case .disk(let at, let slot, _):
            writer.noteHit(at, slot)
            let image = onDisk(slot)
            if log.isAlive(image, at: now) {
                _ = writer.promote(hashes[key], slot: slot, image: image)
            }
        case .none: break
        }
    }

    // MARK: Disk

    private func onDisk(_ slot: UInt64) -> Record {
        let place = log.index.layout.place(slot)
        return Record(disk, at: place.segment * 4096 + place.offset)
    }

    private func commit() {
        while let number = log.sealed.pop() {
            let segment = Int(number)
            guard let frame = log.segments.frame(segment) else { continue }
            disk.copy(
                from: log.frames.memory, at: log.frames.offset(frame), to: segment * 4096,
                count: Int(log.segments.filled(segment).loadRelaxed()))
            log.segments.fileOffset(segment).storeRelease(UInt64(segment) * 4096)
            log.segments.advance(segment, from: .sealed, to: .clean)
            log.logRegion.push(number)
            committed.append(segment)
        }
    }

    /// What a worker keeps of a read: the slot, and the bytes as they were on disk.
    private func beginRead(_ key: Int) {
        guard case .disk(let at, let slot, _) = locate(key) else { return }
        let source = onDisk(slot)
        readBuffer.copy(from: disk, at: source.at, to: 0, count: source.totalBytes)
        log.segments.reads(log.index.layout.segment(slot)).add(1)
        writer.noteHit(at, slot)
        pending = (slot, Record(readBuffer, at: 0), current(key))
        reads += 1
    }

    /// The bytes arrive: they may go into memory if the slot is what it was.
    private func endRead(_ key: Int) {
        guard let (slot, image, known) = pending else { return }
        pending = nil
        if known != nil { _ = writer.promote(hashes[key], slot: slot, image: image) }
        log.segments.reads(log.index.layout.segment(slot)).subtract(1)
    }

    /// The oldest segment that rests on disk goes: its slots first, then its number.
    private func shrink() {
        let segments = log.segments
        guard
            let index = committed.firstIndex(where: {
                segments.state($0) == .resting && segments.reads($0).loadAcquire() == 0
            })
        else { return }
        let segment = committed.remove(at: index)
        var position = 0
        while position < Int(log.segments.filled(segment).loadRelaxed()) {
            let record = Record(disk, at: segment * 4096 + position)
            let place = Place(segment: segment, offset: position)
            for hash in hashes where !record.isFiller {
                guard let (at, slot) = log.index.find(hash, place) else { continue }
                writer.remove(hash, at, slot)
            }
            position += record.totalBytes
        }
        segments.end(segment)
        segments.free(segment, from: .dying)
    }

    // MARK: Checking

    private func locate(_ key: Int) -> Located {
        let text = Self.keys[key]
        return writer.locate(text.span, hash: hashes[key])
    }

    /// What the model says, with time taken into account.
    private func current(_ key: Int) -> Known? {
        guard let known = model[key], known.expiry == 0 || known.expiry > now else { return nil }
        return known
    }

    /// What the log answers to a get that leaves no trace.
    private func answer(_ key: Int) -> Known? {
        let record: Record
        switch locate(key) {
        case .none: return nil
        case .memory(_, _, let found): record = found
        case .disk(_, let slot, _):
            record = onDisk(slot)
            let text = Self.keys[key]
            guard record.hasKey(text.span) else { return nil }
        }
        guard log.isAlive(record, at: now) else { return nil }
        var serial: UInt64 = 0
        for byte in 0..<8 {
            serial |= UInt64(record.region.uint8(at: record.valueOffset + byte)) << (8 * byte)
        }
        return Known(serial: serial, valueBytes: record.valueBytes, expiry: record.expiry)
    }

    /// Whether both keys answer as the model says; a miss counts as that if it `mayMiss`.
    func isTrue(mayMiss: Bool) -> Bool {
        for key in 0..<2 {
            let answer = answer(key)
            if answer == current(key) { continue }
            guard mayMiss, answer == nil else { return false }
            misses += 1
        }
        return true
    }

    /// Empties the world; false if a frame, a segment number or an item is not given back.
    func clear() -> Bool {
        endRead(0)
        delete(0)
        delete(1)
        writer.seal()
        reclaimer.writer.sealPromotion()
        writer.sealPromotion()
        commit()
        var rounds = 0
        while log.frames.freeCount < Self.frames, rounds < 12 {
            _ = reclaimer.step(now: now)
            reclaimer.writer.sealPromotion()
            rounds += 1
        }
        while !committed.isEmpty, rounds < 24 {
            shrink()
            rounds += 1
        }
        return log.frames.freeCount == Self.frames && log.segments.freeCount == numbersFree
            && log.index.itemCount() == 0 && log.frames.pinnedCount == 0
    }
}
