// Lister: the thread that makes lists of all items, in memory and on disk, step by step.
//
// It goes through the index, not through the segments: what the index knows is what a get answers,
// and each key has its place there, wherever its record resides or moves to. It locks a shard for
// as long as some slots are copied; the beginnings of records are read without, and what was read
// counts only if the key's slot still names the place. Values are not read: one that is damaged on
// disk is listed.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// The lister's work. Used by one thread.
struct Lister: ~Copyable {
    private let log: SegmentLog
    private let disk: Disk
    private let signals: Signals
    private let lists: ItemLists
    private let workspace: Region
    /// The slots of a unit.
    private var slots: [Slot] = []
    private var now: UInt32 = 0
    private var hasWorked = false

    /// A slot, and the sequence of its segment at that moment.
    private struct Slot {
        var place: Place
        var sequence: UInt64
    }

    /// Units in a step: most are empty where there are few items.
    private static let unitsMax = 256
    /// So often a unit is looked at again whose records have moved meanwhile.
    private static let attemptsMax = 8
    /// From the beginning of a record to the end of its key.
    private static let headBytesMax = Record.overheadBytesMax + Record.keyBytesMax
    /// A pause after each step: whoever serves goes first.
    private static let pauseNanoseconds: UInt64 = 300_000

    /// Nil: there is no disk, and so nothing that a worker could not list.
    init?(_ store: TieredStore) {
        guard let disk = store.disk, let lists = store.lists else { return nil }
        self.disk = disk
        self.lists = lists
        log = store.log
        signals = store.signals
        workspace = lists.workspace
        slots.reserveCapacity(1024)
    }

    /// Some units of one list.
    mutating func step(at reading: ClockReading) -> NextStep {
        guard signals.stopping.loadAcquire() == 0 else { return .ended }
        guard let job = lists.next() else {
            if hasWorked { workspace.discardAll() }
            hasWorked = false
            return .bell(until: reading.nanoseconds + 60_000_000_000)
        }
        hasWorked = true
        now = reading.unixSeconds
        var unit: ItemLists.Unit? = job.unit
        var writer = ByteWriter(workspace, at: 0, capacity: ItemLists.batchBytes)
        var isRefused = false
        for _ in 0..<Self.unitsMax {
            guard let current = unit, writer.count < ItemLists.batchBytesWanted else { break }
            do throws(LMDBError) {
                if try add(current, job.line, to: &writer) {
                    unit = following(current)
                } else {
                    // It finds no room: the next step has more, or looks at less.
                    if writer.count == 0 { unit?.span = max(current.span / 2, 1) }
                    break
                }
            } catch {
                // The files have to be opened again, say.
                isRefused = true
                break
            }
        }
        lists.add(job.id, count: writer.count, next: unit)
        let pause = isRefused ? 20_000_000 : Self.pauseNanoseconds
        return .time(reading.nanoseconds + pause)
    }

    /// The unit behind this one; nil: it was the last.
    private func following(_ unit: ItemLists.Unit) -> ItemLists.Unit? {
        var next = unit
        next.part = unit.parts.upperBound
        next.span = min(unit.span * 2, Index.partCount)
        guard next.part >= Index.partCount else { return next }
        next.part = 0
        next.group += 1
        guard next.group >= log.index.groupCount else { return next }
        next.group = 0
        next.shard += 1
        return next.shard < log.index.shardCount ? next : nil
    }

    // MARK: A unit

    private enum Finding {
        case settled
        /// The record has moved: look again.
        case moved
    }

    /// Appends the unit's living items; false: there is no room for all of them.
    private mutating func add(
        _ unit: ItemLists.Unit, _ line: ItemLists.Line, to writer: inout ByteWriter
    ) throws(LMDBError) -> Bool {
        for attempt in 1...Self.attemptsMax {
            collect(unit)
            var reading = Reading(disk)
            var draft = writer
            var hasMoved = false
            for slot in slots {
                let finding = try add(slot, unit.shard, line, &reading, to: &draft)
                guard !draft.overflowed else { return false }
                if finding == .moved { hasMoved = true }
                if hasMoved, attempt < Self.attemptsMax { break }
            }
            guard hasMoved, attempt < Self.attemptsMax else {
                writer = draft
                return true
            }
        }
        return true
    }

    /// Copies the slots of a unit.
    private mutating func collect(_ unit: ItemLists.Unit) {
        var found = slots
        slots = []
        found.removeAll(keepingCapacity: true)
        let log = log
        log.index.lock(unit.shard)
        log.index.forEach(unit.shard, group: unit.group, parts: unit.parts) { slot in
            guard !SlotLayout.isRemoval(slot) else { return }
            let place = log.index.layout.place(slot)
            found.append(Slot(place: place, sequence: log.segments.sequence(place.segment)))
        }
        log.index.unlock(unit.shard)
        slots = found
    }

    /// A state of the files, begun when it is first wanted.
    private struct Reading {
        private let disk: Disk
        private var transaction: (any StoreReading)?

        init(_ disk: Disk) { self.disk = disk }

        mutating func files() throws(LMDBError) -> any StoreReading {
            if let transaction { return transaction }
            guard let files = disk.files() else { throw .panic }
            let begun = try files.beginRead()
            transaction = begun
            return begun
        }
    }

    /// The two places for beginnings of records.
    private var head: Record { Record(workspace, at: ItemLists.headsOffset) }
    private var other: Record {
        Record(workspace, at: ItemLists.headsOffset + ItemLists.headBytes)
    }

    /// Appends the item that a slot named, if it lives.
    private func add(
        _ slot: Slot, _ shard: Int, _ line: ItemLists.Line, _ reading: inout Reading,
        to writer: inout ByteWriter
    ) throws(LMDBError) -> Finding {
        let segment = slot.place.segment
        var count = copyFromMemory(slot.place, to: head)
        let wasInMemory = count != nil
        if count == nil {
            switch log.segments.state(segment) {
            case .dying, .unsettled: return .settled
            default: break
            }
            count = try copyFromDisk(slot, try reading.files())
        }
        guard let count, let key = head.untrustedKey(limit: count), key.count > 0 else {
            return .moved
        }
        let hash = workspace.withBytes(key.offset, key.count) { log.hasher.hash($0) }
        guard log.index.shard(hash) == shard else { return .moved }
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        guard let (_, found) = log.index.find(hash, slot.place) else {
            return addMoved(hash, key, line, to: &writer)
        }
        guard !SlotLayout.isRemoval(found) else { return .settled }
        if log.segments.frame(segment) != nil {
            // It may have been written over in the meantime; not any more.
            guard copyFromMemory(slot.place, to: head) != nil else { return .moved }
        } else if wasInMemory {
            return .moved
        }
        append(head, hash, line, to: &writer)
        return .settled
    }

    /// Its slot names another place by now, if there is one: memory may hold the key. The shard is
    /// locked.
    private func addMoved(
        _ hash: UInt64, _ key: (order: UInt64, offset: Int, count: Int), _ line: ItemLists.Line,
        to writer: inout ByteWriter
    ) -> Finding {
        var walk = log.index.matches(hash)
        var mayBeOnDisk = false
        while let (_, slot) = log.index.next(&walk) {
            guard !SlotLayout.isRemoval(slot) else { continue }
            guard let count = copyFromMemory(log.index.layout.place(slot), to: other),
                let found = other.untrustedKey(limit: count)
            else {
                mayBeOnDisk = true
                continue
            }
            let isSame = workspace.withBytes(key.offset, key.count) { bytes in
                found.count == key.count && workspace.equals(bytes, at: found.offset)
            }
            guard isSame else { continue }
            append(other, hash, line, to: &writer)
            return .settled
        }
        return mayBeOnDisk ? .moved : .settled
    }

    private func append(
        _ record: Record, _ hash: UInt64, _ line: ItemLists.Line, to writer: inout ByteWriter
    ) {
        guard !record.isTombstone, log.isAlive(record, at: now) else { return }
        let item = ListedItem(record, hash, now)
        var draft = writer
        workspace.withBytes(item.keyOffset, item.keyBytes) { line(item, $0, &draft) }
        writer = draft
    }

    // MARK: Beginnings of records

    /// Copies the beginning of a record that memory holds; answers how many bytes that is. This
    /// thread is outside quiescence: what was copied counts only if the frame is still the
    /// segment's afterwards.
    private func copyFromMemory(_ place: Place, to target: Record) -> Int? {
        guard let frame = log.segments.frame(place.segment) else { return nil }
        let start = log.frames.offset(frame)
        let count = min(Self.headBytesMax, log.geometry.frameBytes - place.offset)
        guard count >= Record.headerBytes else { return nil }
        workspace.copy(
            from: log.frames.memory, at: start + place.offset, to: target.at, count: count)
        guard log.segments.frame(place.segment) == frame else { return nil }
        return count
    }

    /// The same from the files; nil: it is not there any more, or cannot be read.
    private func copyFromDisk(
        _ slot: Slot, _ files: any StoreReading
    ) throws(LMDBError) -> Int? {
        let (target, workspace) = (head.at, workspace)
        func copy(_ bytes: Span<UInt8>, _ offset: Int) -> Int {
            let count = max(min(bytes.count - offset, Self.headBytesMax), 0)
            if count > 0 {
                workspace.store(bytes.extracting(offset..<offset + count), at: target)
            }
            return count
        }
        return try unlessDamaged { () throws(LMDBError) -> Int? in
            let key = SegmentKey.make(slot.sequence)
            let count = try files.get(.segments, key: key) { copy($0, slot.place.offset) }
            if let count { return count }
            // What the last run had open may not be sealed yet.
            let offset = UInt32(clamping: slot.place.offset)
            return try files.stretch(atOrBelow: PairKey(slot.sequence, offset)) { key, bytes in
                key.first == slot.sequence ? copy(bytes, Int(offset) - Int(key.second)) : nil
            } ?? nil
        }
    }
}
