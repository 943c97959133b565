// Reading: gets, from memory and from disk. See `Contract` for what each value promises.

public import Primitives
public import SegmentLog

extension Door {
    /// Looks for a key and counts the hit. On `.memory` the shard stays locked until `release`.
    ///
    /// - Parameter hint: What `prefetchRecord` said of this key, in the same turn.
    public mutating func find(
        _ key: Span<UInt8>, hash: UInt64, except: Differing = Differing(), hint: Int = -1
    ) -> Lookup {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        switch writer.glance(key, hash: hash, hint: hint) {
        case .none:
            log.index.unlock(shard)
            return .miss
        case .memory(let at, let slot, let record):
            guard let found = quick(shard, record, hash) else {
                return answer(hash, shard, at, slot, record)
            }
            writer.noteHit(at, slot)
            return .memory(found)
        case .unsure:
            return findWidely(key, hash, shard, except)
        }
    }

    /// What `find` would answer where the hint leads straight to a plain record in memory, which it
    /// nearly always does; the shard stays locked as by `find`. Nil: nothing was done, ask `find`
    /// or, for a meta get, `metaGet`, which would neither change the record nor tell more of it.
    @inlinable @inline(__always)
    public mutating func findHinted(
        _ key: Span<UInt8>, hash: UInt64, hint: Int, isMeta: Bool = false
    ) -> Found? {
        guard hint >= 0 else { return nil }
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        guard let (slot, record) = writer.hinted(key, hash: hash, hint: hint),
            let found = quick(shard, record, hash, isMeta: isMeta)
        else {
            log.index.unlock(shard)
            return nil
        }
        writer.noteHit(hint, slot)
        return found
    }

    /// Whether there is nothing of a key, as far as a look at one bucket tells; nothing is counted.
    @inlinable @inline(__always)
    public mutating func isAbsent(hash: UInt64) -> Bool {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        let isAbsent = writer.isAbsent(hash)
        log.index.unlock(shard)
        return isAbsent
    }

    /// What a record in memory holds, with each of its words loaded once, and that it was accessed;
    /// nil for what `answer` has to look at: it is dead, or has something that few have. To a meta
    /// get it must not be stale either, or the get would win it.
    @inlinable @inline(__always)
    mutating func quick(
        _ shard: Int, _ record: Record, _ hash: UInt64, isMeta: Bool = false
    ) -> Found? {
        let refused = isMeta ? Record.Mark.sent | Record.Mark.stale : Record.Mark.sent
        let (word, second) = record.words
        let form = Record.form(word)
        let marks = UInt16(truncatingIfNeeded: second &>> 48)
        let valueBytes = Int(truncatingIfNeeded: second &>> 32 & 0xFFFF)
        guard form & (Record.Form.wide | Record.Form.tombstone | Record.Form.filler) == 0,
            marks & refused == 0, valueBytes <= Self.copyBytesMax,
            Record.order(word) > log.flushMark.loadRelaxed()
        else { return nil }
        var at = record.at &+ Record.headerBytes
        var cas = Record.order(word) &<< 16 | hash &>> 48
        var expiry: UInt32 = 0
        var flags: UInt32 = 0
        if form & (Record.Form.cas | Record.Form.expiry | Record.Form.flags) != 0 {
            if form & Record.Form.cas != 0 {
                cas = record.region.uint64(at: at)
                at &+= 8
            }
            if form & Record.Form.expiry != 0 {
                expiry = record.region.uint32(at: at)
                guard expiry > now else { return nil }
                at &+= 4
            }
            if form & Record.Form.flags != 0 {
                flags = record.region.uint32(at: at)
                at &+= 4
            }
        }
        if marks & ~Record.Mark.kept != accessMarks {
            record.setMarks(marks & Record.Mark.kept | accessMarks)
        }
        // What is copied under the lock is shorter than any record that lies in several frames.
        return Found(
            valueOffset: at &+ Record.keyBytes(word), valueBytes: valueBytes, flags: flags,
            cas: cas, expiry: expiry, isChained: false, shard: shard, recordOffset: record.at)
    }

    /// Looks through the whole chain. The shard is locked, and is unlocked as by `find`.
    @inline(never)
    private mutating func findWidely(
        _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int, _ except: Differing
    ) -> Lookup {
        switch writer.locate(key, hash: hash, first: except.first, second: except.second) {
        case .none:
            log.index.unlock(shard)
            return .miss
        case .memory(let at, let slot, let record):
            return answer(hash, shard, at, slot, record)
        case .disk(let at, let slot, _):
            let read = beginRead(hash, slot)
            writer.noteHit(at, slot)
            log.index.unlock(shard)
            return .disk(read)
        }
    }

    /// A record in memory, whatever it holds. The shard is locked, and is unlocked as by `find`.
    @inline(never)
    private mutating func answer(
        _ hash: UInt64, _ shard: Int, _ at: SlotOffset, _ slot: UInt64, _ record: Record
    ) -> Lookup {
        guard log.isAlive(record, at: now) else {
            let death: Death = record.isExpired(at: now) ? .expired : .flushed
            writer.expire(hash, at, slot)
            log.index.unlock(shard)
            return .dead(death)
        }
        writer.noteHit(at, slot)
        noteAccess(record)
        return .memory(found(shard, slot, record, hash))
    }

    /// Notes in the record that it was fetched, and when.
    @inline(__always)
    mutating func noteAccess(_ record: Record) {
        let marks = record.marks
        guard marks & ~Record.Mark.kept != accessMarks else { return }
        guard marks & Record.Mark.sent == 0 else { return record.setMarks(accessed(marks)) }
        record.setMarks(marks & Record.Mark.kept | accessMarks)
    }

    /// The marks of a record that is accessed now. The time of a win that may be over stays.
    func accessed(_ marks: UInt16) -> UInt16 {
        guard winTimeoutSeconds > 0, marks & Record.Mark.sent != 0 else {
            return marks & Record.Mark.kept | accessMarks
        }
        return marks | Record.Mark.fetched
    }

    mutating func found(
        _ shard: Int, _ slot: UInt64, _ record: Record, _ hash: UInt64
    ) -> Found {
        let segment = log.index.layout.segment(slot)
        return Found(
            valueOffset: record.valueOffset, valueBytes: record.valueBytes, flags: record.flags,
            cas: record.cas(hash), expiry: record.expiry,
            isChained: log.segments.isOf(.chain, segment), shard: shard,
            recordOffset: record.at)
    }

    /// Ends the look at a value: its shard is unlocked.
    @inlinable public mutating func release(_ found: Found) { log.index.unlock(found.shard) }

    /// Keeps a large value's memory beyond the turn; the caller still releases `found`.
    /// Nil when too much is pinned already: release, and try again in a later turn.
    public mutating func pin(_ found: Found) -> Pin? {
        let frame = found.recordOffset / log.geometry.frameBytes
        guard log.frames.pin(frame, framesMax: pinnedFramesMax) else { return nil }
        return Pin(
            valueBytes: found.valueBytes, frame: frame,
            start: found.valueOffset - frame * log.geometry.frameBytes)
    }

    /// The contiguous bytes of the value from `index` on, as offset and count in `memory`.
    public func piece(_ pin: Pin, from index: Int) -> (offset: Int, count: Int) {
        let (offset, count) = log.piece(chain: pin.frame, at: pin.start + index)
        return (offset, min(count, pin.valueBytes - index))
    }

    public mutating func unpin(_ pin: Pin) { log.frames.unpin(pin.frame) }

    // MARK: From disk

    /// Begins a read of the record that `slot` names. The shard is locked.
    mutating func beginRead(_ hash: UInt64, _ slot: UInt64) -> DiskRead {
        let place = log.index.layout.place(slot)
        let segments = log.segments
        segments.reads(place.segment).add(1)
        let filled = Int(segments.filled(place.segment).loadRelaxed())
        let base = segments.fileOffset(place.segment).loadRelaxed()
        return DiskRead(
            fileOffset: base &+ UInt64(place.offset),
            firstBytes: max(min(Self.firstReadBytes, filled - place.offset), 0),
            isLoad: base == Segments.noFileOffset, hash: hash, slot: slot,
            flushMark: log.flushMark.loadRelaxed(), now: now)
    }

    private mutating func endRead(_ read: DiskRead) {
        log.segments.reads(log.index.layout.segment(read.slot)).subtract(1)
    }

    /// Looks at what a read brought: `count` bytes (or a negated errno) at `offset` of `region`.
    public mutating func examine(
        _ read: DiskRead, key: Span<UInt8>, in region: Region, at offset: Int, count: Int
    ) -> Examined {
        guard count >= Record.headerBytes else { return .damaged }
        let place = log.index.layout.place(read.slot)
        let limit = Int(log.segments.filled(place.segment).loadRelaxed()) - place.offset
        let record = Record(region, at: offset)
        guard record.isPlausible(limit: limit), !record.isFiller else { return .damaged }
        // What is older than all that the segment was written with is none of it.
        guard record.order >= log.segments.lowestOrder(place.segment).loadRelaxed() else {
            return .damaged
        }
        let content = record.contentBytes
        // Written with larger frames than this run has memory for.
        guard !log.isBeyond(record) else { return .beyond }
        guard content <= count else {
            // A first read that came short is a failure; a longer record needs a longer read.
            return count >= read.firstBytes ? .more(totalBytes: content) : .damaged
        }
        guard record.checksum() == record.storedChecksum else { return .damaged }
        guard record.hasKey(key) else { return .other }
        guard !record.isTombstone else { return .dead(.removed) }
        guard !record.isExpired(at: read.now) else { return .dead(.expired) }
        guard record.order > read.flushMark else { return .dead(.flushed) }
        return .record(
            DiskRecord(
                valueOffset: record.valueOffset, valueBytes: record.valueBytes,
                flags: record.flags, cas: record.cas(read.hash), expiry: record.expiry,
                recordOffset: offset, recordBytes: content))
    }

    /// Ends a read that nobody needs any more.
    public mutating func abandon(_ read: DiskRead) { endRead(read) }

    /// Ends a read for a get: the record may be promoted, if its slot is unchanged.
    public mutating func finish(_ read: DiskRead, _ record: DiskRecord, in region: Region) {
        defer { endRead(read) }
        // Wanted before, or nothing has to leave memory for it.
        guard SlotLayout.hits(read.slot) > 0 || log.frames.freeCount > plentyFrames else { return }
        let image = Record(region, at: record.recordOffset)
        noteAccess(image)
        _ = writer.promote(read.hash, slot: read.slot, image: image)
    }

    /// Ends a read for a change: brings the record into memory. False: no room now, the read has
    /// not ended; call again when `News.frames` has changed, or `abandon` it.
    public mutating func bring(
        _ read: DiskRead, _ record: DiskRecord, in region: Region
    ) -> Bool {
        let image = Record(region, at: record.recordOffset)
        if case .noRoom = writer.promote(read.hash, slot: read.slot, image: image) {
            return false
        }
        endRead(read)
        return true
    }

    /// Ends a read whose record is dead or damaged: the slot goes, if it is unchanged.
    public mutating func drop(_ read: DiskRead, isDamaged: Bool) {
        let index = log.index
        let shard = index.shard(read.hash)
        let place = index.layout.place(read.slot)
        index.lock(shard)
        if let (at, slot) = index.find(read.hash, place), !SlotLayout.isRemoval(slot),
            log.segments.frame(place.segment) == nil
        {
            if isDamaged {
                // What lies there cannot be read; what lies behind it may be an older record.
                index.setMayHide(shard)
                if !log.rememberDead(shard, at, slot) { writer.remove(read.hash, at, slot) }
            } else {
                writer.expire(read.hash, at, slot)
            }
        }
        index.unlock(shard)
        if isDamaged { signals.damagedReads.add(1) }
        endRead(read)
    }

    /// Ends a read that brought another key's record: the command that is executed again with
    /// `differing` passes over its slot. That remembers two. So that looking for a key ends,
    /// whatever lies on disk, any other slot goes if it is unchanged: its key becomes a miss.
    public mutating func exclude(_ read: DiskRead, in differing: inout Differing) {
        defer { endRead(read) }
        guard !differing.add(read.slot) else { return }
        let place = log.index.layout.place(read.slot)
        let shard = log.index.shard(read.hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        guard let (at, slot) = log.index.find(read.hash, place), !SlotLayout.isRemoval(slot),
            log.segments.frame(place.segment) == nil
        else { return }
        writer.countEviction(slot)
        drop(read.hash, shard, at, slot)
    }

    /// Asks the store's own thread to load the segment of a read that `isLoad`; ends the read.
    public mutating func requestLoad(_ read: DiskRead) {
        let segment = UInt32(log.index.layout.segment(read.slot))
        if loads.count < loads.capacity / 2 { loads.push(segment) }
        endRead(read)
        signals.committer.wake()
    }

    /// Contiguous memory (of `memory`) for reading a record of more than `firstReadBytes`.
    /// Nil: none now, try again when `News.frames` has changed. End with `closeReadRoom`.
    ///
    /// - Parameter isBrief: the record leaves as soon as it is read, and its room is what is kept
    ///   for such ones.
    public mutating func openReadRoom(bytes: Int, isBrief: Bool = false) -> Staging? {
        precondition(bytes <= log.geometry.segmentBytes)
        let wanted = max(bytes, 64)
        let opened = isBrief ? writer.openKeptRoom(wanted) : writer.openReadingRoom(wanted)
        guard let room = opened else { return nil }
        return Staging(
            valueBytes: bytes, hash: 0, frame: room.frame, start: room.start, keyBytes: 0,
            valueStart: room.start, isChained: room.isChained)
    }
    public func readRoomOffset(_ room: Staging) -> Int {
        log.frames.offset(room.frame) + room.start
    }
    public mutating func closeReadRoom(_ room: Staging) {
        writer.closeRoom(
            Room(
                frame: room.frame, start: room.start, bytes: max(room.valueBytes, 64),
                isChained: room.isChained, use: .reading))
    }

    /// Input up to this length has room of its own in the cache's memory.
    private static let shortInputBytesMax = 1 << 10

    /// Contiguous memory for bytes that a client has sent; never out of what is kept for reads.
    /// Nil: none now. End with `closeInputRoom`.
    public mutating func openInputRoom(bytes: Int) -> InputRoom? {
        guard bytes <= log.geometry.sharedRecordBytesMax,
            let room = writer.openRoom(
                max(bytes, 64), for: bytes <= Self.shortInputBytesMax ? .shortInput : .input)
        else { return nil }
        return InputRoom(frame: UInt32(room.frame), start: UInt32(room.start))
    }
    public func inputRoomOffset(_ room: InputRoom) -> Int {
        log.frames.offset(Int(room.frame)) + Int(room.start)
    }
    public mutating func closeInputRoom(_ room: InputRoom) {
        writer.closeRoom(
            Room(
                frame: Int(room.frame), start: Int(room.start), bytes: 0, isChained: false,
                use: .input))
    }
}
