// Large: values that arrive in pieces, that span frames, or that are made of two.
//
// A staged value lies in a room outside the log until it is complete. A record that may share a
// segment is then copied to the tail; a larger one is adopted where it lies.

internal import Primitives
internal import SegmentLog

/// A run of bytes that may be cut into frames.
enum Extent: BitwiseCopyable {
    /// Contiguous, from this offset of the frames' memory.
    case flat(Int)
    /// From `start` bytes into a chain of frames.
    case chained(first: Int, start: Int)
}

/// Where the second part of a joined value comes from.
enum Addition: BitwiseCopyable {
    case span
    case extent(Extent, Int)
}

extension Door {
    func piece(_ extent: Extent, _ index: Int) -> (offset: Int, count: Int) {
        switch extent {
        case .flat(let offset): (offset + index, .max)
        case .chained(let first, let start): log.piece(chain: first, at: start + index)
        }
    }

    func copy(_ source: Extent, to target: Extent, at start: Int = 0, count: Int) {
        var done = 0
        while done < count {
            let from = piece(source, done)
            let to = piece(target, start + done)
            let part = min(count - done, from.count, to.count)
            guard part > 0 else { return }
            memory.copy(from: memory, at: from.offset, to: to.offset, count: part)
            done += part
        }
    }

    func copy(_ source: Span<UInt8>, to target: Extent, at start: Int) {
        var done = 0
        while done < source.count {
            let to = piece(target, start + done)
            let part = min(source.count - done, to.count)
            guard part > 0 else { return }
            memory.store(source.extracting(done..<done + part), at: to.offset)
            done += part
        }
    }

    /// Where the value of a record in memory lies.
    func valueExtent(_ slot: UInt64, _ record: Record) -> Extent {
        guard log.segments.kind(log.index.layout.segment(slot)) == .chain else {
            return .flat(record.valueOffset)
        }
        return .chained(
            first: record.at / log.geometry.frameBytes, start: record.valueOffset - record.at)
    }

    // MARK: Staging

    /// Room for a value that will arrive in pieces. Nil: none now (see `News.frames`).
    public mutating func openStaging(
        key: Span<UInt8>, hash: UInt64, valueBytes: Int, flags: UInt32, expiry: UInt32
    ) -> Staging? {
        precondition(valueBytes <= itemBytesMax)
        return openStaging(
            key, hash, valueBytes, RecordFields(flags: flags, expiry: expiry))
    }

    private mutating func openStaging(
        _ key: Span<UInt8>, _ hash: UInt64, _ valueBytes: Int, _ fields: RecordFields
    ) -> Staging? {
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: valueBytes)
        guard let room = writer.openRoom(total) else {
            signals.maintenance.ring()
            return nil
        }
        let record = Record(memory, at: log.frames.offset(room.frame) + room.start)
        let at = record.write(fields, order: 0, keyBytes: key.count, valueBytes: valueBytes)
        memory.store(key, at: at)
        return Staging(
            valueBytes: valueBytes, hash: hash, frame: room.frame, start: room.start,
            keyBytes: key.count, valueStart: at + key.count - log.frames.offset(room.frame),
            isChained: room.isChained)
    }

    /// Where the value's bytes from `index` on go: offset and contiguous count in `memory`.
    public func piece(_ staging: Staging, from index: Int) -> (offset: Int, count: Int) {
        let left = staging.valueBytes - index
        let (offset, count) = piece(valueExtent(staging), index)
        return (offset, min(count, left))
    }

    private func valueExtent(_ staging: Staging) -> Extent {
        guard staging.isChained else {
            return .flat(log.frames.offset(staging.frame) + staging.valueStart)
        }
        return .chained(first: staging.frame, start: staging.valueStart)
    }

    private func room(_ staging: Staging) -> Room {
        let record = Record(memory, at: log.frames.offset(staging.frame) + staging.start)
        return Room(
            frame: staging.frame, start: staging.start,
            bytes: Record.aligned(record.contentBytes), isChained: staging.isChained)
    }

    public mutating func abandon(_ staging: Staging) { writer.closeRoom(room(staging)) }

    /// Executes the storage command of a staged value that is complete.
    public mutating func store(
        _ mode: StoreMode, staging: Staging, isExpired: Bool, cas: UInt64,
        except: Differing = Differing()
    ) -> Outcome {
        let image = Record(memory, at: log.frames.offset(staging.frame) + staging.start)
        let outcome = memory.withBytes(image.keyOffset, image.keyBytes) { key -> Outcome in
            if mode == .append || mode == .prepend {
                let addition = Addition.extent(valueExtent(staging), staging.valueBytes)
                return join(mode, key, staging.hash, addition, key.extracting(0..<0), except)
            }
            return storeStaged(mode, staging, image, key, isExpired, cas, except)
        }
        switch outcome {
        case .wait, .read: return outcome
        case .stored where staging.isChained && mode != .append && mode != .prepend && !isExpired:
            return outcome
        default:
            abandon(staging)
            return outcome
        }
    }

    private mutating func storeStaged(
        _ mode: StoreMode, _ staging: Staging, _ image: Record, _ key: Span<UInt8>,
        _ isExpired: Bool, _ cas: UInt64, _ except: Differing
    ) -> Outcome {
        let shard = log.index.shard(staging.hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, staging.hash, except, mayTake: mode == .set)
        if let outcome = refusal(mode, subject, cas) { return outcome }
        if isExpired { return bury(subject, key, staging.hash, shard) ? .stored : .wait }
        guard let order = writer.nextOrder(shard) else { return .wait }
        let expiry = image.expiry
        if staging.isChained {
            guard let place = writer.adopt(room(staging), expiry: expiry) else { return .wait }
            image.setOrder(order)
            log.index.setOrder(shard, order)
            point(subject, staging.hash, shard, to: place)
            writer.handOn(chain: place)
            return .stored
        }
        let total = Record.aligned(image.contentBytes)
        guard writer.makeRoom(total) else { return .wait }
        let target = writer.tail
        memory.copy(from: memory, at: image.at, to: target.at, count: total)
        target.setOrder(order)
        log.index.setOrder(shard, order)
        point(subject, staging.hash, shard, to: writer.advance(total, expiry: expiry))
        return .stored
    }

    /// A value at hand that is too large to share a segment.
    mutating func storeThroughStaging(
        _ mode: StoreMode, key: Span<UInt8>, hash: UInt64, value: Span<UInt8>,
        fields: RecordFields, isExpired: Bool, cas: UInt64, except: Differing
    ) -> Outcome {
        guard let staging = openStaging(key, hash, value.count, fields) else { return .wait }
        copy(value, to: valueExtent(staging), at: 0)
        let outcome = store(
            mode, staging: staging, isExpired: isExpired, cas: cas, except: except)
        switch outcome {
        case .wait, .read: abandon(staging)
        default: break
        }
        return outcome
    }

    // MARK: Joining

    /// append and prepend: the old value and an addition become a new record.
    mutating func join(
        _ mode: StoreMode, _ key: Span<UInt8>, _ hash: UInt64, _ addition: Addition,
        _ value: Span<UInt8>, _ except: Differing
    ) -> Outcome {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, hash, except, mayTake: false)
        if let outcome = refusal(mode, subject, 0) { return outcome }
        guard case .present(_, let slot, let old, _) = subject else { return .notStored }
        let added: Int
        switch addition {
        case .span: added = value.count
        case .extent(_, let count): added = count
        }
        let oldBytes = old.valueBytes
        guard oldBytes + added <= itemBytesMax else { return .tooLarge }
        let fields = RecordFields(flags: old.flags, expiry: old.expiry)
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: oldBytes + added)
        guard let order = writer.nextOrder(shard) else { return .wait }
        let target: Record
        var chain: Room?
        if total > log.geometry.sharedRecordBytesMax {
            guard let room = writer.openRoom(total, isBrief: true) else { return .wait }
            chain = room
            target = Record(memory, at: log.frames.offset(room.frame))
        } else {
            guard writer.makeRoom(total) else { return .wait }
            target = writer.tail
        }
        let at = target.write(
            fields, order: order, keyBytes: key.count, valueBytes: oldBytes + added)
        memory.store(key, at: at)
        let start = at + key.count
        let extent: Extent =
            chain.map { .chained(first: $0.frame, start: start - target.at) } ?? .flat(start)
        let source = valueExtent(slot, old)
        copy(source, to: extent, at: mode == .append ? 0 : added, count: oldBytes)
        let where_ = mode == .append ? oldBytes : 0
        switch addition {
        case .span: copy(value, to: extent, at: where_)
        case .extent(let other, let count): copy(other, to: extent, at: where_, count: count)
        }
        guard let place = settle(chain, total, fields.expiry) else { return .wait }
        log.index.setOrder(shard, order)
        point(subject, hash, shard, to: place)
        if chain != nil { writer.handOn(chain: place) }
        return .stored
    }

    /// Takes the place of a record that was just written: a chain's, or at the tail.
    private mutating func settle(_ chain: Room?, _ total: Int, _ expiry: UInt32) -> Place? {
        guard let chain else { return writer.advance(total, expiry: expiry) }
        guard let place = writer.adopt(chain, expiry: expiry) else {
            writer.closeRoom(chain)
            return nil
        }
        return place
    }

    /// A record in a chain of its own with the same value and other fields. Shard locked.
    mutating func rewriteChain(
        _ subject: Subject, _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int,
        _ fields: RecordFields, order: UInt64, parts: (Extent, Int)
    ) -> Bool {
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: parts.1)
        guard let room = writer.openRoom(total, isBrief: true) else { return false }
        let target = Record(memory, at: log.frames.offset(room.frame))
        let at = target.write(fields, order: order, keyBytes: key.count, valueBytes: parts.1)
        memory.store(key, at: at)
        copy(
            parts.0, to: .chained(first: room.frame, start: at + key.count - target.at),
            count: parts.1)
        guard let place = settle(room, total, fields.expiry) else { return false }
        log.index.setOrder(shard, order)
        point(subject, hash, shard, to: place)
        writer.handOn(chain: place)
        return true
    }
}
