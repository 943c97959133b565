// MetaChanges: the changes that ms, md and ma ask for, and the binary protocol's commands like
// them: the calls of the store, and whether they are done. The answers are each dialect's own.

internal import Memcache
internal import Primitives
internal import Store

/// How such a change ended, if it has.
enum MetaFinished: BitwiseCopyable {
    /// The connection waits.
    case waits
    /// No memory, or no disk, in time.
    case refused
    case done(MetaChanged)
}

extension Worker where Network: ~Copyable {
    /// Stores the value that a request of the batch brings.
    mutating func storeMeta(_ index: Int, _ set: MetaSet, _ key: MetaKey) -> MetaFinished {
        let slot = Int(batch[index].slot)
        let (place, value) = (batch[index].input, batch[index].request.value)
        let changed = key.place.region.withBytes(key.place.offset, key.count) { bytes in
            place.region.withBytes(place.offset &+ Int(value.offset), Int(value.count)) { value in
                door.metaStore(
                    set, key: bytes, hash: key.hash, value: value,
                    except: connections[slot].differing)
            }
        }
        let finished = finished(slot, key, changed)
        if case .refused = finished {
            counters.add(.setCommands)
            counters.add(.storesFailed)
            if set.mode == .set { forget(slot, key.place, key.count, key.hash) }
        }
        return finished
    }

    mutating func addMeta(_ slot: Int, _ add: MetaArithmetic, _ key: MetaKey) -> MetaFinished {
        let changed = key.place.region.withBytes(key.place.offset, key.count) {
            door.metaAdd(add, key: $0, hash: key.hash, except: connections[slot].differing)
        }
        return finished(slot, key, changed)
    }

    mutating func deleteMeta(_ slot: Int, _ delete: MetaDelete, _ key: MetaKey) -> ChangeResult {
        let outcome = key.place.region.withBytes(key.place.offset, key.count) {
            door.metaDelete(
                delete, key: $0, hash: key.hash, except: connections[slot].differing)
        }
        return finishChange(slot, key.place, key.slice, outcome)
    }

    /// Stores a value that was received into the store; what is not done is over, unless it waits.
    mutating func storeStagedMeta(_ slot: Int, _ staging: Staging) -> MetaFinished {
        let id = connections[slot].incoming
        let (request, set) = (transfers.incoming[id].request, transfers.incoming[id].meta.set)
        let changed = door.metaStore(set, staging: staging, except: connections[slot].differing)
        switch finishChange(slot, transfers.keyPlace(id), request.key, changed.outcome) {
        case .waits: return .waits
        case .refused:
            door.abandon(staging)
            endStaging(slot)
            counters.add(.setCommands)
            counters.add(.storesFailed)
            if set.mode == .set { forgetStagedKey(slot) }
            return .refused
        case .done:
            endStaging(slot)
            sighting.isStaged = true
            return .done(changed)
        }
    }

    private mutating func finished(
        _ slot: Int, _ key: MetaKey, _ changed: MetaChanged
    ) -> MetaFinished {
        switch finishChange(slot, key.place, key.slice, changed.outcome) {
        case .waits: .waits
        case .refused: .refused
        case .done: .done(changed)
        }
    }
}
