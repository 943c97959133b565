// Moves: records that change their place but not their meaning: promotion, and the way back.
//
// Every move checks that the record is current, copies it and swaps the slot in one hold of the
// shard's lock; order and cas stay. Called by workers (reads from disk) and by maintenance.

internal import Primitives

/// What a move came to.
public enum Moved: BitwiseCopyable {
    /// The record was not current any more, or dead.
    case gone
    case moved
    case noRoom
}

extension Writer {
    /// Copies the record at `place` (in memory) to the head of the promotion region.
    ///
    /// - Parameter isAging: its time in its region is over, which costs it one of its hits; not so
    ///   if its segment is only being cleaned.
    public mutating func promote(
        _ hash: UInt64, from place: Place, isAging: Bool = false, now: UInt32
    ) -> Moved {
        let index = log.index
        let shard = index.shard(hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        guard let (at, slot) = index.find(hash, place), !SlotLayout.isRemoval(slot) else {
            return .gone
        }
        guard let frame = log.segments.frame(place.segment) else { return .gone }
        let source = record(frame, slot)
        guard log.isAlive(source, at: now) else {
            expire(hash, at, slot)
            return .gone
        }
        var home = source.home
        if home.isNone, log.segments.fileOffset(place.segment).loadRelaxed() != 0 {
            home = Home(place, sequence: log.segments.sequence(place.segment))
        }
        let isAgain = log.segments.kind(place.segment) == .promotion
        guard let target = copyToPromotion(source, home: home) else { return .noRoom }
        let hits = SlotLayout.hits(slot)
        let left = isAging && hits > 0 ? hits - 1 : hits
        index.store(index.layout.moved(slot, to: target, hits: left), at: at)
        if left > 0 { log.segments.hits(target.segment).add(1) }
        if isAgain || home.isNone { log.segments.noteDead(place.segment, bytes: source.totalBytes) }
        log.count(isAgain ? .recirculations : .promotions)
        return .moved
    }

    /// Copies a record that was read from disk into the promotion region, if its slot still is
    /// what it was when the read began.
    public mutating func promote(
        _ hash: UInt64, slot expected: UInt64, image: Record
    ) -> Moved {
        let index = log.index
        let shard = index.shard(hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        let place = index.layout.place(expected)
        guard let (at, slot) = index.find(hash, place), !SlotLayout.isRemoval(slot),
            log.segments.frame(place.segment) == nil
        else { return .gone }
        let home = Home(place, sequence: log.segments.sequence(place.segment))
        guard let target = copyToPromotion(image, home: home) else { return .noRoom }
        index.store(index.layout.moved(slot, to: target), at: at)
        log.count(.promotions)
        return .moved
    }

    /// Appends the image to the open promotion segment. Shard locked.
    private mutating func copyToPromotion(_ source: Record, home: Home) -> Place? {
        let content = Record.aligned(source.contentBytes)
        let total = content + (home.isNone ? 0 : Record.homeBytes)
        // A record from larger frames of an earlier run may not fit.
        guard total <= log.geometry.segmentBytes, makePromotionSpace(total) else { return nil }
        let place = Place(segment: promotion.segment, offset: promotion.tail)
        let target = Record(log.frames.memory, at: promotion.base + promotion.tail)
        target.region.copy(from: source.region, at: source.at, to: target.at, count: content)
        target.clearHome()
        if !home.isNone { target.setHome(home) }
        promotion.tail += total
        promotion.records += 1
        promotion.noteExpiry(target.expiry)
        log.noteExpiry(target.expiry)
        return place
    }

    /// A record leaves the promotion region: back to its home, if that stands, else for good.
    /// Answers whether it was evicted.
    public mutating func demote(_ hash: UInt64, from place: Place, now: UInt32) -> Bool {
        let index = log.index
        let shard = index.shard(hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        guard let (at, slot) = index.find(hash, place), !SlotLayout.isRemoval(slot) else {
            return false
        }
        guard let frame = log.segments.frame(place.segment) else { return false }
        let record = record(frame, slot)
        guard log.isAlive(record, at: now) else {
            expire(hash, at, slot)
            return false
        }
        let home = record.home
        if log.segments.stands(home) {
            index.store(index.layout.moved(slot, to: home.place), at: at)
            log.segments.noteDead(place.segment, bytes: record.totalBytes)
            return false
        }
        evict(hash, at, slot)
        return true
    }

    /// A record of the log region leaves memory and has no disk to go to. Answers whether it was
    /// evicted.
    public mutating func evict(_ hash: UInt64, from place: Place, now: UInt32) -> Bool {
        let index = log.index
        let shard = index.shard(hash)
        index.lock(shard)
        defer { index.unlock(shard) }
        guard let (at, slot) = index.find(hash, place), !SlotLayout.isRemoval(slot) else {
            return false
        }
        if let frame = log.segments.frame(place.segment),
            !log.isAlive(record(frame, slot), at: now)
        {
            expire(hash, at, slot)
            return false
        }
        evict(hash, at, slot)
        return true
    }

    /// Removes a live record for want of room. Shard locked.
    mutating func evict(_ hash: UInt64, _ at: SlotOffset, _ slot: UInt64) {
        let frame = log.segments.frame(log.index.layout.segment(slot))
        let bytes = frame.map { record($0, slot).totalBytes } ?? 0
        remove(hash, at, slot)
        // An older record of the key may still be on disk, unknown to the index.
        if log.geometry.hasDisk {
            log.index.setMayHide(log.index.shard(hash))
            log.index.closeToRecovery(log.index.shard(hash))
        }
        countEviction(slot)
        log.ghosts.insert(hash, bytes: bytes) { log.index.itemCount() }
    }

    /// Removes an expired or flushed record. Shard locked.
    public mutating func expire(_ hash: UInt64, _ at: SlotOffset, _ slot: UInt64) {
        let shard = log.index.shard(hash)
        let frame = log.segments.frame(log.index.layout.segment(slot))
        let isFlushed = frame.map { record($0, slot).order <= log.flushMark.loadRelaxed() } ?? false
        if !log.rememberDead(shard, at, slot) { remove(hash, at, slot) }
        log.didTakeBack(shard, slot, isFlushed: isFlushed)
    }

    /// Counts a live record that went for want of room.
    public func countEviction(_ slot: UInt64) {
        log.count(.evictions)
        if SlotLayout.hits(slot) == 0 { log.count(.evictedUnfetched) }
    }

    /// Counts a record that goes for want of room, or was dead already: then it is no eviction.
    public func countLoss(_ slot: UInt64, order: UInt64, expiry: UInt32) {
        let isExpired = expiry != 0 && expiry <= log.segments.clock.loadRelaxed()
        guard !isExpired, order > log.flushMark.loadRelaxed() else { return log.countDead(slot) }
        countEviction(slot)
    }
}

extension SegmentLog {
    /// The slot of an expired or flushed record was taken back. Shard locked.
    func didTakeBack(_ shard: Int, _ slot: UInt64, isFlushed: Bool) {
        // It may lie on disk, and the clock may be set back: a delete has to leave a tombstone.
        if geometry.hasDisk, !isFlushed { index.setMayHide(shard) }
        countDead(slot)
    }

    /// Counts an expired or flushed record whose place is taken back.
    func countDead(_ slot: UInt64) {
        count(.expired)
        if SlotLayout.hits(slot) == 0 { count(.expiredUnfetched) }
    }
}

extension Record {
    /// Forgets a home that the source had.
    func clearHome() { region.store(word & ~(Form.home << 56), at: at) }
}
