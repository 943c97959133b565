// ExecuteMetaStaged: ms with a value that does not fit a buffer and is received into the store.
//
// The line is gone when the value is complete, so what the command asks for, and what its reply
// repeats, is kept with the connection. The way of the value is in LargeValues.

internal import Memcache
internal import Primitives
internal import Store

/// What is kept of an `ms` whose value arrives in pieces.
struct StagedMeta: BitwiseCopyable {
    var set = MetaSet()
    var order: UInt64 = 0
    var opaqueBytes: UInt8 = 0
    var isEncoded = false
    var isQuiet = false
}

extension Worker where Network: ~Copyable {
    /// An `ms` at the cursor, which lies at `place`.
    mutating func beginMetaStaging(
        _ slot: Int, _ request: Request, _ place: Location, _ consumed: Int
    ) {
        var words = place
        words.offset += Int(request.argument.offset)
        let flags = words.region.withBytes(words.offset, Int(request.argument.count)) {
            MetaFlags($0)
        }
        guard let key = plainMetaKey(request, flags, place) else {
            return refuseMetaLine(slot, request, metaFault(.metaSet, flags) ?? .metaKey, consumed)
        }
        if let kind = metaFault(.metaSet, flags) {
            return refuseMetaLine(slot, request, kind, consumed)
        }
        let set = metaSet(flags)
        var staging: Staging?
        if mayTakePlace(slot, request) {
            staging = key.place.region.withBytes(key.place.offset, key.count) {
                door.openStaging(
                    set, key: $0, hash: key.hash, valueBytes: Int(request.valueBytes))
            }
        }
        guard staging != nil || isRefusedMemory(slot) else {
            waitForPlace(slot, request, consumed)
            return
        }
        var kept = request
        kept.key = key.slice
        let meta = StagedMeta(
            set: set, order: flags.order,
            opaqueBytes: UInt8(truncatingIfNeeded: flags.opaque.count),
            isEncoded: flags.has("b"), isQuiet: flags.has("q"))
        guard let staging else {
            guard let space = takeSpace(for: slot) else { return }
            takeLine(slot, kept, meta, key: key.place, consumed)
            counters.add(.waitsExpired)
            refuseStaging(slot, space)
            return
        }
        takeLine(slot, kept, meta, key: key.place, consumed)
        let opaque = opaquePlace(connections[slot].incoming)
        opaque.region.copy(
            from: words.region, at: words.offset + Int(flags.opaque.offset), to: opaque.offset,
            count: Int(flags.opaque.count))
        beginFilling(slot, staging)
    }

    /// Where the opaque token of an incoming value lies: behind its key.
    private func opaquePlace(_ id: UInt32) -> Location {
        var place = transfers.keyPlace(id)
        place.offset += ServerLimits.opaqueOffset
        return place
    }

    /// The key, decoded; nil if it cannot be.
    private mutating func plainMetaKey(
        _ request: Request, _ flags: MetaFlags, _ place: Location
    ) -> MetaKey? {
        var source = place
        source.offset += Int(request.key.offset)
        let count = Int(request.key.count)
        if flags.has("b") { return decodedKey(source, count) }
        let hash = source.region.withBytes(source.offset, count) { door.hash($0) }
        return MetaKey(place: source, count: count, hash: hash)
    }

    /// Something is wrong with the line: its value is dropped as it comes.
    private mutating func refuseMetaLine(
        _ slot: Int, _ request: Request, _ kind: Fault.Kind, _ consumed: Int
    ) {
        // Without room for the reply, the command is looked at again.
        guard let space = takeSpace(for: slot) else { return }
        passLine(slot, consumed)
        connections[slot].input.drop(next: UInt64(request.valueBytes) + 2)
        var writer = replyWriter(space)
        Reply.fault(kind, to: &writer)
        addReply(slot, writer, space)
        dropInput(slot)
    }

    /// Executes an `ms` whose value is complete.
    mutating func storeMetaStaged(
        _ slot: Int, _ staging: Staging, _ space: consuming ReplySpace
    ) {
        let id = connections[slot].incoming
        let meta = transfers.incoming[id].meta
        let key = transfers.incoming[id].request.key
        let place = transfers.keyPlace(id)
        switch storeStagedMeta(slot, staging) {
        case .waits: return
        case .refused: answerOutOfMemory(slot, isQuiet: false, space)
        case .done(let changed):
            let opaque = opaquePlace(id)
            let echo = MetaEcho(
                order: meta.order, key: place, keyBytes: Int(key.count), opaque: opaque,
                opaqueBytes: Int(meta.opaqueBytes), isEncoded: meta.isEncoded,
                isQuiet: meta.isQuiet)
            answerMetaSet(slot, echo, meta.set, changed, bytes: staging.valueBytes, space)
        }
        giveIncoming(slot)
    }
}
