// Chains: records too large to share a segment, on their way to disk and back.
//
// Such a record is written in parts, over several transactions if it is larger than one may be;
// its directory comes with the last, and without a directory it does not exist.

internal import LMDB
internal import Primitives
internal import SegmentLog

extension Committer {
    /// Writes the chains that lead the backlog, as many as one transaction carries; the first may
    /// need several.
    mutating func writeChains(_ files: any StoreFiles) throws(LMDBError) {
        var transaction = try files.beginWrite()
        var whole: [Int] = []
        var carried = 0
        var bytes = 0
        for segment in backlog.pending {
            guard log.segments.kind(segment) == .chain else { break }
            let sequence = log.segments.sequence(segment)
            let filled = Int(log.segments.filled(segment).loadRelaxed())
            // Whatever shares a transaction with others fits into it.
            if !whole.isEmpty, carried + filled > mapBudget.batchBytes { break }
            log.fillChecksum(chain: log.segments.frame(unwritten: segment), filled: filled)
            for part in 0..<log.geometry.framesNeeded(filled) {
                let partBytes = partByteCount(part, of: filled)
                if carried + partBytes > disk.transactionBytes, carried > 0 {
                    try transaction.commit()
                    transaction = try files.beginWrite()
                    carried = 0
                }
                try put(part, partBytes, of: segment, transaction)
                carried += partBytes
            }
            let count = Directory.make(segment, log, into: directory)
            try putDirectory(files, transaction, sequence, count)
            whole.append(segment)
            bytes += filled + Directory.bytes(count: count)
        }
        try transaction.commit()
        disk.counters.add(.bytesWritten, bytes)
        backlog.didWrite(whole, log)
        for segment in whole { didPublish(segment, fileOffset: nil) }
    }

    private func partByteCount(_ part: Int, of filled: Int) -> Int {
        min(log.geometry.segmentBytes, filled - part * log.geometry.segmentBytes)
    }

    private mutating func put(
        _ part: Int, _ byteCount: Int, of segment: Int, _ transaction: any StoreWriting
    ) throws(LMDBError) {
        let first = log.segments.frame(unwritten: segment)
        let (offset, _) = log.piece(chain: first, at: part * log.geometry.segmentBytes)
        try put(
            transaction, segment: SegmentKey.make(log.segments.sequence(segment), part: part),
            byteCount: byteCount, from: log.frames.memory, at: offset, count: byteCount)
    }

    // MARK: Back into memory

    /// Loads what somebody asked for. What there is no room for waits here, and keeps its turn:
    /// nothing else that may need several frames is loaded before it.
    mutating func serveLoads() {
        let asked = loads.take(store.loads)
        var later: [Int] = []
        var lacksRoom = false
        for segment in asked where log.segments.state(segment) == .resting {
            guard !lacksRoom || isSingleFrame(segment) else {
                later.append(segment)
                continue
            }
            let result = bringBack(segment)
            guard result != .done else { continue }
            later.append(segment)
            if result == .noRoom { lacksRoom = true }
        }
        loads.keep(later)
        if lacksRoom { signals.maintenance.wake() }
        guard later.count < asked.count else { return }
        signals.loads.add(1)
        wakeAll()
    }

    /// Whether it comes back as it is, into one frame.
    private func isSingleFrame(_ segment: Int) -> Bool {
        log.segments.kind(segment) != .chain
            && log.segments.fileOffset(segment).loadAcquire() == Segments.noFileOffset
    }

    /// A segment's bytes, from disk to where its records can be read.
    mutating func bringBack(_ segment: Int) -> Loads.Result {
        let filled = Int(log.segments.filled(segment).loadRelaxed())
        let sequence = log.segments.sequence(segment)
        guard let files = disk.files() else { return .unreadable }
        // A chain may come from smaller frames, and fit into one of this run's.
        guard log.segments.kind(segment) == .chain else {
            return isSingleFrame(segment)
                ? loadShared(files, segment, filled) : moveLarge(files, segment, filled)
        }
        guard let room = writer.openChain(filled) else {
            // Memory may have become too small for it, or the index too large.
            guard !log.canHold(filled) else { return .noRoom }
            log.count(.evictions)
            log.segments.end(segment)
            return .done
        }
        do throws(LMDBError) {
            try read(files, sequence, filled, into: room)
        } catch {
            writer.closeRoom(room)
            return loseIfDamaged(segment, error)
        }
        guard log.isSound(chain: room.frame, filled: filled, of: segment) else {
            writer.closeRoom(room)
            return lose(segment)
        }
        writer.keep(room, as: segment)
        log.promotionRegion.push(UInt32(segment))
        return .done
    }

    /// A small segment without a place that a ring could read: back into a frame of its own.
    private mutating func loadShared(
        _ files: any StoreFiles, _ segment: Int, _ filled: Int
    ) -> Loads.Result {
        guard filled <= log.geometry.segmentBytes else { return lose(segment) }
        guard let frame = writer.takeFreeFrame() else { return .noRoom }
        let key = SegmentKey.make(log.segments.sequence(segment))
        let offset = log.frames.offset(frame)
        do throws(LMDBError) {
            let transaction = try files.beginRead()
            var isRead = try transaction.get(.segments, key: key) { bytes in
                guard bytes.count >= filled else { return false }
                log.frames.memory.store(bytes.extracting(0..<filled), at: offset)
                return true
            }
            if isRead == nil {
                // It is not sealed yet.
                let end = try Stretches.collect(
                    transaction, SegmentKey.sequence(key), into: scratch)
                isRead = end == filled
                log.frames.memory.copy(from: scratch, at: 0, to: offset, count: filled)
            }
            guard isRead == true, log.isSound(offset, filled: filled, of: segment) else {
                throw .corrupted
            }
        } catch {
            log.frames.giveBack(frame)
            return loseIfDamaged(segment, error)
        }
        writer.keep(frame, as: segment)
        log.logRegion.push(UInt32(segment))
        return .done
    }

    /// Records larger than this run's segments (the last one had more memory) get frames of their
    /// own, and with the next commit a segment each. There may be none: a number that somebody
    /// asked for may be another segment's by now.
    private mutating func moveLarge(
        _ files: any StoreFiles, _ segment: Int, _ filled: Int
    ) -> Loads.Result {
        let sequence = log.segments.sequence(segment)
        var view: Directory.View?
        var bytes: Int?
        do throws(LMDBError) {
            // What the records say of themselves may be damaged; and one that is nowhere to be
            // found has a slot all the same, which whoever wants its key waits for.
            if let count = try readDirectory(files, sequence) {
                view = Directory.View(directory, byteCount: Directory.bytes(count: count))
            }
            bytes = try readBack(files, sequence)
        } catch {
            return loseIfDamaged(segment, error)
        }
        // Zeros may lie behind a short one.
        guard let view, let bytes, bytes >= filled else { return lose(segment) }
        let now = now.unixSeconds
        for number in 0..<view.count {
            guard moveLarge(view[number], segment, filled, now: now) else { return .noRoom }
        }
        return .done
    }

    /// Moves a record that is too large for this run, and forgets one that is damaged; the others
    /// stay. False: there is no memory for it now. What never fits is forgotten, too.
    private mutating func moveLarge(
        _ entry: Directory.Entry, _ segment: Int, _ filled: Int, now: UInt32
    ) -> Bool {
        let hash = entry.hash
        let place = Place(segment: segment, offset: entry.offset)
        let found = record(of: entry, read: filled, limit: filled)
        if entry.isTombstone || found.map({ !log.isBeyond($0) }) == true { return true }
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        guard let (at, slot) = log.index.find(hash, place), !SlotLayout.isRemoval(slot) else {
            return true
        }
        guard let record = found, record.checksum() == record.storedChecksum else {
            forget(hash, at, slot)
            signals.damagedReads.add(1)
            return true
        }
        guard log.isAlive(record, at: now) else {
            // Whoever wants it would ask again and again.
            writer.expire(hash, at, slot)
            return true
        }
        guard let target = writer.copyToSegment(record) else {
            if log.canHold(Record.aligned(record.contentBytes)) { return false }
            forget(hash, at, slot)
            log.count(.evictions)
            return true
        }
        writer.replace(at, slot, with: target, hits: 1)
        return true
    }

    /// Takes away the slot of a record that only the disk holds, and that nobody can have. Shard
    /// locked.
    private mutating func forget(_ hash: UInt64, _ at: SlotOffset, _ slot: UInt64) {
        let shard = log.index.shard(hash)
        log.index.setMayHide(shard)
        if !log.rememberDead(shard, at, slot) { writer.remove(hash, at, slot) }
    }

    private func read(
        _ files: any StoreFiles, _ sequence: UInt64, _ filled: Int, into room: Room
    ) throws(LMDBError) {
        var done = 0
        var part = 0
        while done < filled {
            let transaction = try files.beginRead()
            let key = SegmentKey.make(sequence, part: part)
            let start = done
            let count = try transaction.get(.segments, key: key) { bytes -> Int in
                var position = 0
                let wanted = min(bytes.count, filled - start)
                while position < wanted {
                    let (offset, room) = log.piece(chain: room.frame, at: start + position)
                    let count = min(wanted - position, room)
                    log.frames.memory.store(
                        bytes.extracting(position..<position + count), at: offset)
                    position += count
                }
                return wanted
            }
            guard let count, count > 0 else { throw .corrupted }
            done += count
            part += 1
        }
    }

    /// What cannot be read now, because the files have to be opened again, say, may be later.
    private func loseIfDamaged(_ segment: Int, _ error: LMDBError) -> Loads.Result {
        error.isDamage ? lose(segment) : .unreadable
    }

    /// A segment whose bytes cannot be had: its keys are misses from now on.
    private func lose(_ segment: Int) -> Loads.Result {
        log.segments.end(segment)
        signals.damagedReads.add(1)
        return .done
    }
}
