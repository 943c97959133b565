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
        let start = slot * ServerLimits.keyBytes
        let count = Int(request.key.count)
        keys.copy(
            from: place.region, at: place.offset + Int(request.key.offset), to: start,
            count: count)
        let set = binarySet(request)
        var staging: Staging?
        if mayTake(slot, .frames) || isRefusedMemory(slot) {
            staging = keys.withBytes(start, count) { key in
                door.openStaging(
                    set, key: key, hash: door.hash(key), valueBytes: Int(request.valueBytes))
            }
        }
        guard staging != nil || isRefusedMemory(slot) else {
            waitForPlace(slot, request, consumed)
            return
        }
        var kept = request
        kept.key = Slice(offset: 0, count: request.key.count)
        // A refusal asks for it, too.
        connections[slot].stagedMeta = StagedMeta(set: set)
        guard let staging else {
            guard let space = takeSpace(for: slot) else { return }
            takeMetaLine(slot, kept, consumed)
            counters.add(.waitsExpired)
            refuseStaging(slot, space)
            return
        }
        takeMetaLine(slot, kept, consumed)
        beginFilling(slot, staging)
    }

    /// Executes a storage command whose value is complete.
    mutating func storeBinaryStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        let set = connections[slot].stagedMeta.set
        let request = connections[slot].stagedRequest
        switch storeStagedMeta(slot, staging) {
        case .waits: return
        case .refused: answerBinaryOutOfMemory(slot, request.head, space)
        case .done(let changed): answerBinaryStore(slot, request, set, changed, space)
        }
    }
}
