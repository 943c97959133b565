// Large: values that arrive in pieces, that span frames, or that are made of two.
//
// A staged value lies in a room outside the log until it is complete. A record that may share a
// segment is then copied to the tail; a larger one is kept where it lies.

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

    mutating func copy(_ source: Extent, to target: Extent, at start: Int = 0, count: Int) {
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

    mutating func copy(_ source: Span<UInt8>, to target: Extent, at start: Int) {
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
    mutating func valueExtent(_ slot: UInt64, _ record: Record) -> Extent {
        guard log.segments.kind(log.index.layout.segment(slot)) == .chain else {
            return .flat(record.valueOffset)
        }
        return .chained(
            first: record.at / log.geometry.frameBytes, start: record.valueOffset - record.at)
    }

    // MARK: Staging

    /// The longest value whose room shares a frame with others', whatever its key: some frames are
    /// left to these.
    public var sharedValueBytesMax: Int {
        // Whatever its optional fields are.
        log.geometry.sharedRecordBytesMax - 64
            - RecordFields().totalBytes(keyBytes: Record.keyBytesMax, valueBytes: 0)
    }

    /// Room for a value that will arrive in pieces. Nil: none now (see `News.frames`).
    public mutating func openStaging(
        key: Span<UInt8>, hash: UInt64, valueBytes: Int, flags: UInt32, expiry: UInt32
    ) -> Staging? {
        precondition(valueBytes <= itemBytesMax)
        return openStaging(
            key, hash, valueBytes,
            RecordFields(flags: flags, expiry: expiry, marks: freshMarks))
    }

    mutating func openStaging(
        _ key: Span<UInt8>, _ hash: UInt64, _ valueBytes: Int, _ fields: RecordFields,
        isBrief: Bool = false
    ) -> Staging? {
        let total = fields.totalBytes(keyBytes: key.count, valueBytes: valueBytes)
        guard let room = writer.openRoom(total, isBrief: isBrief) else {
            signals.maintenance.wake()
            return nil
        }
        // What it takes the place of may give its frames to the next.
        if room.isChained { signals.maintenance.wake() }
        let record = Record(memory, at: log.frames.offset(room.frame) + room.start)
        let at = record.write(fields, order: 0, keyBytes: key.count, valueBytes: valueBytes)
        memory.store(key, at: at)
        return Staging(
            valueBytes: valueBytes, hash: hash, frame: room.frame, start: room.start,
            keyBytes: key.count, valueStart: at + key.count - log.frames.offset(room.frame),
            isChained: room.isChained)
    }

    /// Where the value's bytes from `index` on go: offset and contiguous count in `memory`.
    public mutating func piece(_ staging: Staging, from index: Int) -> (offset: Int, count: Int) {
        let left = staging.valueBytes - index
        let (offset, count) = piece(valueExtent(staging), index)
        return (offset, min(count, left))
    }

    mutating func valueExtent(_ staging: Staging) -> Extent {
        guard staging.isChained else {
            return .flat(log.frames.offset(staging.frame) + staging.valueStart)
        }
        return .chained(first: staging.frame, start: staging.valueStart)
    }

    private mutating func room(_ staging: Staging) -> Room {
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
        case .wait, .noOrder, .read: return outcome
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
        var draft: Draft?
        if !isExpired {
            guard let made = self.draft(of: staging, image) else { return .wait }
            draft = made
        }
        let shard = log.index.shard(staging.hash)
        log.index.lock(shard)
        defer { log.index.unlock(shard) }
        let subject = subject(key, staging.hash, except, mayTake: mode == .set)
        if let outcome = refusal(mode, subject, staging.hash, cas) { return outcome }
        guard let draft else {
            return bury(subject, key, staging.hash, shard) ? .stored : lack(shard)
        }
        return publish(draft, subject, staging.hash, shard) ? .stored : lack(shard)
    }

    /// The staged record where it is to stay: a chain where it lies, a smaller one at the tail.
    mutating func draft(of staging: Staging, _ image: Record) -> Draft? {
        let total = Record.aligned(image.contentBytes)
        let expiry = image.expiry
        let value = valueExtent(staging)
        guard !staging.isChained else {
            return Draft(
                origin: 0, target: image, room: room(staging), totalBytes: total,
                expiry: expiry, value: value)
        }
        guard writer.makeSpace(total) else { return nil }
        let target = writer.tail
        memory.copy(from: memory, at: image.at, to: target.at, count: total)
        return Draft(
            origin: 0, target: target, room: nil, totalBytes: total, expiry: expiry,
            value: value)
    }

    /// A value at hand that is too large to share a segment.
    mutating func storeThroughStaging(
        _ mode: StoreMode, key: Span<UInt8>, hash: UInt64, value: Span<UInt8>,
        fields: RecordFields, isExpired: Bool, cas: UInt64, except: Differing
    ) -> Outcome {
        guard let staging = openStaging(key, hash, value.count, fields, isBrief: true) else {
            return .wait
        }
        copy(value, to: valueExtent(staging), at: 0)
        let outcome = store(
            mode, staging: staging, isExpired: isExpired, cas: cas, except: except)
        switch outcome {
        case .wait, .noOrder, .read: abandon(staging)
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
        var set = MetaSet()
        set.mode = mode
        return join(set, key, hash, addition, value, except)
    }

    /// The same, as `ms` asks for it: maybe compared, maybe with a CAS that is given.
    mutating func join(
        _ set: MetaSet, _ key: Span<UInt8>, _ hash: UInt64, _ addition: Addition,
        _ value: Span<UInt8>, _ except: Differing
    ) -> Outcome {
        let shard = log.index.shard(hash)
        return renew(
            key, shard, success: .stored,
            look: { door, draft, isLast in
                door.lookToJoin(
                    set, key, hash, shard, addition, value, except, draft, isLast)
            },
            fill: { door, origin, target in
                door.writeJoined(set.mode, origin, addition, value, to: target)
            })
    }

    /// One look of a join. Shard locked.
    private mutating func lookToJoin(
        _ set: MetaSet, _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int,
        _ addition: Addition, _ value: Span<UInt8>, _ except: Differing,
        _ draft: Draft?, _ isLast: Bool
    ) -> Hold {
        let subject = subject(key, hash, except, mayTake: false)
        if let outcome = refusal(set.mode, subject, hash, 0) { return .done(outcome) }
        guard case .present(_, let slot, let old, _) = subject else { return .done(.notStored) }
        if let compare = set.compare, compare != 0, compare != old.cas(hash) {
            return .done(.exists)
        }
        let added: Int
        switch addition {
        case .span: added = value.count
        case .extent(_, let count): added = count
        }
        guard itemBytes(old, key, valueBytes: old.valueBytes + added) <= itemBytesMax else {
            return .done(.tooLarge)
        }
        let origin = Origin(
            order: old.order, value: valueExtent(slot, old), valueBytes: old.valueBytes,
            fields: RecordFields(
                flags: old.flags, expiry: old.expiry, cas: set.next, marks: freshMarks),
            newBytes: old.valueBytes + added)
        return settle(
            draft, origin, isLast, key, subject, hash, shard, success: .stored,
            fill: { door, origin, target in
                door.writeJoined(set.mode, origin, addition, value, to: target)
            })
    }

    /// The item as memcached counts it: with a header of 48 bytes, a CAS, a zero, a line end, and
    /// flags if it has some.
    private mutating func itemBytes(_ old: Record, _ key: Span<UInt8>, valueBytes: Int) -> Int {
        valueBytes + key.count + 59 + (old.flags == 0 ? 0 : 4)
    }

    /// Writes both parts of a joined value.
    private mutating func writeJoined(
        _ mode: StoreMode, _ origin: Origin, _ addition: Addition, _ value: Span<UInt8>,
        to target: Extent
    ) {
        let added = origin.newBytes - origin.valueBytes
        copy(
            origin.value, to: target, at: mode == .append ? 0 : added, count: origin.valueBytes)
        let start = mode == .append ? origin.valueBytes : 0
        switch addition {
        case .span: copy(value, to: target, at: start)
        case .extent(let other, let count): copy(other, to: target, at: start, count: count)
        }
    }
}
