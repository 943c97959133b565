// ExecuteBinaryStaged: a binary storage command whose value does not fit a buffer and is received
// into the store. The way of the value is in LargeValues.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    /// A storage command at the cursor, which lies at `place`.
    mutating func beginBinaryStaging(
        _ slot: Int, _ request: Request, _ place: Location, _ consumed: Int
    ) {
        var key = place
        key.offset += Int(request.key.offset)
        let set = binarySet(request)
        var staging: Staging?
        if mayTakePlace(slot, request) {
            staging = key.region.withBytes(key.offset, Int(request.key.count)) { key in
                door.openStaging(
                    set, key: key, hash: door.hash(key), valueBytes: Int(request.valueBytes))
            }
        }
        guard staging != nil || isRefusedMemory(slot) else {
            waitForPlace(slot, request, consumed)
            return
        }
        guard let staging else {
            guard let space = takeSpace(for: slot) else { return }
            takeLine(slot, request, StagedMeta(set: set), key: key, consumed)
            counters.add(.waitsExpired)
            refuseStaging(slot, space)
            return
        }
        takeLine(slot, request, StagedMeta(set: set), key: key, consumed)
        beginFilling(slot, staging)
    }

    /// Executes a storage command whose value is complete.
    mutating func storeBinaryStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        let id = connections[slot].incoming
        let (request, set) = (transfers.incoming[id].request, transfers.incoming[id].meta.set)
        switch storeStagedMeta(slot, staging) {
        case .waits: return
        case .refused: answerBinaryOutOfMemory(slot, request.head, space)
        case .done(let changed): answerBinaryStore(slot, request, set, changed, space)
        }
        giveIncoming(slot)
    }
}
