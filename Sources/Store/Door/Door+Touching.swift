// Touching: a value is answered and gets a new expiry in one hold of its shard's lock (gat, gats),
// so that no other worker's value can take the touch. A large value is touched by `touch` with the
// cas that was seen.

internal import Primitives
internal import SegmentLog

extension Door {
    /// gat: the value as it is, and then a touch, which may be the end of it.
    ///
    /// - Parameter valueBytesMax: Longer values are not copied under the lock.
    public mutating func findTouching(
        _ key: Span<UInt8>, hash: UInt64, expiry: UInt32, isExpired: Bool, valueBytesMax: Int,
        except: Differing = Differing()
    ) -> TouchedLookup {
        let shard = log.index.shard(hash)
        log.index.lock(shard)
        let lookup = touched(
            key, hash, shard, expiry, isExpired, min(valueBytesMax, Self.copyBytesMax), except)
        switch lookup {
        case .found, .large: break
        case .miss, .dead, .wait, .noOrder, .read: log.index.unlock(shard)
        }
        return lookup
    }

    /// Shard locked.
    private mutating func touched(
        _ key: Span<UInt8>, _ hash: UInt64, _ shard: Int, _ expiry: UInt32, _ isExpired: Bool,
        _ valueBytesMax: Int, _ except: Differing
    ) -> TouchedLookup {
        switch writer.locate(key, hash: hash, first: except.first, second: except.second) {
        case .none:
            // What recovery has not reached, say, must not come.
            guard isExpired else { return .miss }
            return bury(.absent, key, hash, shard) ? .miss : lackTouching(shard)
        case .disk(_, let slot, _): return .read(beginRead(hash, slot))
        case .memory(let at, let slot, let record):
            guard log.isAlive(record, at: now) else {
                let death: Death = record.isExpired(at: now) ? .expired : .flushed
                guard isExpired else {
                    writer.expire(hash, at, slot)
                    return .dead(death)
                }
                let subject = Subject.present(at, slot, record, isAlive: false)
                return bury(subject, key, hash, shard) ? .dead(death) : lackTouching(shard)
            }
            let found = found(shard, slot, record, hash)
            guard found.valueBytes <= valueBytesMax, !found.isChained else {
                return .large(found)
            }
            if isExpired {
                // The bytes stay where they are until the turn ends.
                let subject = Subject.present(at, slot, record, isAlive: true)
                return bury(subject, key, hash, shard) ? .found(found) : lackTouching(shard)
            }
            let noted = writer.noteHit(at, slot)
            noteAccess(record)
            guard record.expiry != expiry else { return .found(found) }
            let origin = Origin(
                order: record.order, value: valueExtent(noted, record),
                valueBytes: record.valueBytes,
                fields: RecordFields(
                    flags: record.flags, expiry: expiry, cas: record.cas(hash),
                    marks: record.marks),
                newBytes: record.valueBytes)
            let subject = Subject.present(at, noted, record, isAlive: true)
            return rewrite(origin, subject, key, hash, shard).map { .found($0) }
                ?? lackTouching(shard)
        }
    }

    private mutating func lackTouching(_ shard: Int) -> TouchedLookup {
        writer.hasOrder(shard) ? .wait : .noOrder
    }
}
