// Writer+Looking: how a thread finds the record of a key, and notes that it was found.
//
// One look for nearly every request (`hinted`, `glance`), the walk along a chain for the rest
// (`locate`). Nothing here writes a record; hits are noted in slots.

public import Primitives

/// What looking for a key in its chain of slots came to.
public enum Located: BitwiseCopyable {
    case none
    case memory(SlotOffset, UInt64, Record)
    /// A tag matches, and the record is only on disk. `isAlone`: no other slot
    /// of the tag is on disk, may answer, and is not known to be another key's.
    case disk(SlotOffset, UInt64, isAlone: Bool)
}

/// What a look at the first bucket of a chain came to.
public enum Glance: BitwiseCopyable {
    /// No slot is the key's.
    case none
    case memory(SlotOffset, UInt64, Record)
    /// Look at the whole chain.
    case unsure
}

extension Writer {
    /// The same as `locate` where a look at one bucket tells, which it nearly always does. `hint`:
    /// a slot of the key's shard that may be the key's, as `prefetchRecord` found it, or -1.
    @inlinable @inline(__always) public mutating func glance(
        _ key: Span<UInt8>, hash: UInt64, hint: SlotOffset
    ) -> Glance {
        if hint >= 0, let (slot, record) = hinted(key, hash: hash, hint: hint) {
            return .memory(hint, slot, record)
        }
        let tag = log.index.layout.tag(hash)
        let bucket = log.index.start(hash)
        guard let (at, slot) = log.index.first(in: bucket, tag) else {
            return log.index.hasLink(bucket) ? .unsure : .none
        }
        guard let record = record(of: key, slot) else { return .unsure }
        return .memory(at, slot, record)
    }

    /// Whether a look at one bucket tells that no slot is the key's. The shard is locked.
    @inlinable @inline(__always) public mutating func isAbsent(_ hash: UInt64) -> Bool {
        let bucket = log.index.start(hash)
        return log.index.first(in: bucket, log.index.layout.tag(hash)) == nil
            && !log.index.hasLink(bucket)
    }

    /// What the slot at `hint` names, if it is a record in memory and the key's.
    @inlinable @inline(__always) public mutating func hinted(
        _ key: Span<UInt8>, hash: UInt64, hint: SlotOffset
    ) -> (slot: UInt64, record: Record)? {
        let slot = log.index.load(hint)
        guard log.index.layout.matches(slot, log.index.layout.tag(hash)),
            let record = record(of: key, slot)
        else { return nil }
        return (slot, record)
    }

    /// The record that a slot names, if it is in memory and the key's. The shard is locked.
    @inlinable @inline(__always) func record(of key: Span<UInt8>, _ slot: UInt64) -> Record? {
        // No segment has the number that makes a link, and so no frame.
        guard !SlotLayout.isRemoval(slot),
            let frame = log.segments.frame(log.index.layout.segment(slot))
        else { return nil }
        let record = record(frame, slot)
        return record.hasKey(key, record.words.0) ? record : nil
    }

    /// The record of `key`. The shard is locked. Slots equal to `first` or `second` are known to
    /// belong to other keys; remembered removals are passed over.
    @inlinable @inline(__always) public mutating func locate(
        _ key: Span<UInt8>, hash: UInt64, first: UInt64 = 0, second: UInt64 = 0
    ) -> Located {
        let index = log.index
        var walk = index.matches(hash)
        var disk: (SlotOffset, UInt64) = (0, 0)
        var diskCount = 0
        while let (at, slot) = index.next(&walk) {
            let segment = index.layout.segment(slot)
            if let frame = log.segments.frame(segment) {
                let record = self.record(frame, slot)
                if record.hasKey(key) {
                    if SlotLayout.isRemoval(slot) { continue }
                    return .memory(at, slot, record)
                }
            } else {
                if SlotLayout.isRemoval(slot) { continue }
                let state = log.segments.state(segment)
                if state.isSilent {
                    // If its deletion fails, the record is back after a restart: a removal must
                    // leave a tombstone.
                    if state == .dying { index.setMayHide(index.shard(hash)) }
                    continue
                }
                if first != 0, index.layout.isSame(slot, first) { continue }
                if second != 0, index.layout.isSame(slot, second) { continue }
                if diskCount == 0 { disk = (at, slot) }
                diskCount &+= 1
            }
        }
        if diskCount == 0 { return .none }
        return .disk(disk.0, disk.1, isAlone: diskCount == 1)
    }

    @inlinable @inline(__always) func record(_ frame: Int, _ slot: UInt64) -> Record {
        log.record(frame, slot)
    }

    /// Notes a hit in the slot; writes nothing once the bits are full. Returns the slot as it is
    /// now. The shard is locked.
    @inlinable @inline(__always) @discardableResult
    public mutating func noteHit(_ at: SlotOffset, _ slot: UInt64) -> UInt64 {
        let hits = SlotLayout.hits(slot)
        guard hits < 3 else { return slot }
        let noted = slot &+ 1 &<< SlotLayout.hitShift
        log.index.store(noted, at: at)
        if hits == 0 { log.segments.hits(log.index.layout.segment(slot)).add(1) }
        return noted
    }

    /// Without a lock: asks the core for the record that the hash probably means, in the bucket
    /// that `Index.prefetch` named. Returns where its slot lies; -1 if there is none.
    @inlinable @inline(__always)
    public mutating func prefetchRecord(_ hash: UInt64, in bucket: Int) -> SlotOffset {
        guard let (place, slot) = log.index.first(in: bucket, log.index.layout.tag(hash)) else {
            return -1
        }
        let segment = log.index.layout.segment(slot)
        guard segment < log.segments.count else { return -1 }
        // Nothing is read, so nothing has to be ordered.
        guard let frame = Segments.frame(log.segments.frameWord(segment).loadRelaxed()) else {
            return -1
        }
        let at = log.frames.offset(frame) &+ log.index.layout.offset(slot)
        log.frames.memory.prefetch(at, lines: 3)
        return place
    }
}
