// Chains: a record that is cut into frames, and its checksum; segments that come back from disk;
// what the committer and recovery do to a writer that requests do not.

internal import Primitives

extension SegmentLog {
    /// The checksum of a record that lies in a chain of frames; the header is in the first.
    private func checksum(chain first: Int, filled: Int) -> UInt32 {
        let record = Record(frames.memory, at: frames.offset(first))
        var crc = record.headerChecksum()
        let content = min(record.contentBytes, filled)
        var position = 16
        while position < content {
            let (offset, count) = piece(chain: first, at: position)
            guard count > 0 else { break }
            let part = min(count, content - position)
            crc = frames.memory.crc32c(offset, part, seed: crc)
            position += part
        }
        return crc
    }

    /// Fills in the checksum of a chain's record.
    public func fillChecksum(chain first: Int, filled: Int) {
        let word = frames.memory.atomic32(at: frames.offset(first) + 8)
        word.storeRelaxed(checksum(chain: first, filled: filled))
    }

    /// Whether a chain that was read from disk holds one sound record, and one that the segment
    /// was written with.
    public func isSound(chain first: Int, filled: Int, of segment: Int) -> Bool {
        let record = Record(frames.memory, at: frames.offset(first))
        guard record.isPlausible(limit: filled), !record.isFiller,
            record.order >= segments.lowestOrder(segment).loadRelaxed()
        else { return false }
        return record.storedChecksum == checksum(chain: first, filled: filled)
    }

    /// Whether bytes that were read from disk are sound records from end to end, none of them older
    /// than what the segment was written with.
    public func isSound(_ offset: Int, filled: Int, of segment: Int) -> Bool {
        let lowest = segments.lowestOrder(segment).loadRelaxed()
        var walk = RecordWalk(frames.memory, at: offset, end: filled, isTrusted: false)
        while let (record, _) = walk.next() {
            guard record.checksum() == record.storedChecksum, record.order >= lowest else {
                return false
            }
        }
        return walk.isComplete
    }
}

extension SegmentLog {
    /// Whether a record is too large to share one of this run's segments, with its home: it was
    /// written when frames were larger.
    public func isBeyond(_ record: Record) -> Bool {
        Record.aligned(record.contentBytes) > geometry.segmentBytes - Record.homeBytes
    }

    /// From now on every removal leaves a tombstone: the disk may hold what the index has not.
    public func setMayHideAll() {
        for shard in 0..<index.shardCount {
            index.lock(shard)
            index.setMayHide(shard)
            index.unlock(shard)
        }
    }

    /// The hit bits of the slot that names exactly this place; nil if none does.
    public func hits(_ hash: UInt64, _ place: Place) -> UInt64? {
        let shard = index.shard(hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        return index.find(hash, place).map { SlotLayout.hits($0.slot) }
    }
}

extension Frames {
    /// Gives back a frame that only this thread ever knew.
    public func giveBack(_ frame: Int) { give(frame) }
    /// Takes a frame (or chain) out of use; it is free after quiescence.
    public func retireNow(_ first: Int) { retire(first) }
}

extension Writer {
    /// A free frame, for a segment that comes back from disk.
    public func takeFreeFrame() -> Int? { log.frames.take() }

    /// A segment that rests on disk is in memory again, in this frame.
    public func keep(_ frame: Int, as segment: Int) {
        log.segments.setFrame(segment, frame)
        log.segments.advance(segment, from: .resting, to: .clean)
    }

    /// The same for a record in a chain.
    public func keep(_ room: Room, as segment: Int) {
        log.frames.stagedFrames.subtract(UInt64(log.geometry.framesNeeded(room.bytes)))
        log.frames.stagedChains.subtract(1)
        // Another value that waited for its share of the rooms may come now.
        log.frames.news.add(1)
        keep(room.frame, as: segment)
    }

    /// The frames of a chain, with the record in them, become a new segment's, which waits for its
    /// commit; the record keeps order and cas. Nil: the record is dead or was not wanted, or no
    /// number is free. The segment is in no queue.
    public mutating func inherit(_ segment: Int, isWanted: Bool, now: UInt32) -> Int? {
        let segments = log.segments
        guard let frame = segments.frame(segment) else { return nil }
        let record = Record(log.frames.memory, at: log.frames.offset(frame))
        let hash = log.hash(of: record)
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let place = Place(segment: segment, offset: 0)
        guard let (at, slot) = log.index.find(hash, place), !SlotLayout.isRemoval(slot),
            isWanted || SlotLayout.hits(slot) > 0, log.isAlive(record, at: now),
            let heir = segments.open(.chain)
        else { return nil }
        segments.filled(heir).storeRelaxed(segments.filled(segment).loadRelaxed())
        segments.cut(heir).storeRelaxed(segments.filled(segment).loadRelaxed())
        segments.records(heir).storeRelaxed(1)
        segments.earliestExpiry(heir).storeRelaxed(segments.earliestExpiry(segment).loadRelaxed())
        segments.latestExpiry(heir).storeRelaxed(segments.latestExpiry(segment).loadRelaxed())
        segments.overlap(heir).storeRelaxed(segments.sequenceLimit())
        segments.setFrame(heir, frame)
        _ = segments.takeFrame(segment)
        segments.noteDead(segment, bytes: Int(segments.filled(segment).loadRelaxed()))
        let target = Place(segment: heir, offset: 0)
        log.index.store(log.index.layout.moved(slot, to: target, hits: 1), at: at)
        segments.hits(heir).add(1)
        log.count(.rescues)
        handOn(heir)
        return heir
    }

    /// Whether the open segment holds bytes that no cut covers.
    public var hasUncut: Bool { main.tail > main.cut }

    /// Takes the cut itself: for the committer's own writer.
    public mutating func cutNow() {
        guard main.segment != 0 else { return }
        publishCut(log.cutAsked(number).loadRelaxed())
    }

    /// Appends a copy of a record as it is, with its order and cas; nil if there is no room.
    public mutating func appendCopy(_ image: Record) -> Place? {
        let bytes = Record.aligned(image.contentBytes)
        guard bytes <= log.geometry.sharedRecordBytesMax else { return copyToSegment(image) }
        guard makeSpace(bytes) else { return nil }
        let target = tail
        target.region.copy(from: image.region, at: image.at, to: target.at, count: bytes)
        target.clearHome()
        if image.isTombstone { return advanceDead(bytes) }
        return advance(bytes, expiry: image.expiry)
    }

    /// The same for a record that has a contiguous image but may not share a segment here.
    public mutating func copyToSegment(_ image: Record) -> Place? {
        let bytes = Record.aligned(image.contentBytes)
        guard let room = openChain(bytes) else { return nil }
        var done = 0
        while done < bytes {
            let (offset, count) = log.piece(chain: room.frame, at: done)
            let part = min(count, bytes - done)
            log.frames.memory.copy(
                from: image.region, at: image.at + done, to: offset, count: part)
            done += part
        }
        guard let place = makeSegment(of: room, expiry: image.expiry) else {
            closeRoom(room)
            return nil
        }
        Record(log.frames.memory, at: log.frames.offset(room.frame)).clearHome()
        handOn(chain: place)
        return place
    }

    /// Whether a tombstone of any key could be appended now.
    public var canAppendTombstone: Bool {
        let bytes = RecordFields(isTombstone: true).totalBytes(
            keyBytes: Record.keyBytesMax, valueBytes: 0)
        if main.segment != 0, main.tail + bytes <= log.geometry.segmentBytes { return true }
        return hasSpare || log.frames.freeCount > 0
    }

    /// Appends a tombstone with an order of the past; nil if there is no room.
    public mutating func appendTombstone(_ key: Span<UInt8>, order: UInt64) -> Place? {
        let fields = RecordFields(isTombstone: true)
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: 0)
        guard makeSpace(total) else { return nil }
        let target = tail
        let at = target.write(fields, order: order, keyBytes: key.count, valueBytes: 0)
        target.region.store(key, at: at)
        return advanceDead(total)
    }
}
