// ExecuteAdministration: the joint for commands about the server itself, but for statistics.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    /// slabs, lru, lru_crawler and watch.
    mutating func executeAdministration(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let place = batch[index].input
        let request = batch[index].request
        let answer = place.region.withBytes(
            place.offset + Int(request.argument.offset), Int(request.argument.count)
        ) {
            Administration.answer(request.verb, $0, isDumpDisabled: shared.settings.isDumpDisabled)
        }
        var writer = replyWriter(space)
        switch answer {
        case .text(let text):
            writer.append(text)
            if writer.count > 0 { addReply(Int(batch[index].slot), writer, space) }
        case .list(let kind):
            beginListing(Int(batch[index].slot), kind)
        }
        return true
    }

    /// cache_memlimit: the memory for items, up to what was reserved at the start.
    mutating func executeMemoryLimit(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let request = batch[index].request
        var writer = replyWriter(space)
        switch request.delta {
        case ..<8: Reply.memlimitTooSmall(to: &writer)
        case 1_000_000_001...: Reply.memlimitNotMebibytes(to: &writer)
        default:
            let bytes = Int(request.delta) << 20
            let reserved = shared.settings.memoryBytes
            if bytes <= reserved, door.withhold(bytes: reserved - bytes) {
                shared.memoryLimit = bytes
                Reply.ok(to: &writer)
            } else {
                Reply.memlimitRefused(to: &writer)
            }
        }
        if !request.isQuiet { addReply(Int(batch[index].slot), writer, space) }
        return true
    }

    /// shutdown: the process is sent the signal that it is stopped with.
    mutating func executeShutdown(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        let place = batch[index].input
        let request = batch[index].request
        var writer = replyWriter(space)
        guard shared.settings.isShutdownEnabled else {
            Reply.shutdownNotEnabled(to: &writer)
            addReply(slot, writer, space)
            return true
        }
        let order = place.region.withBytes(
            place.offset + Int(request.argument.offset), Int(request.argument.count)
        ) { ShutdownOrder($0) }
        guard let order else {
            Reply.invalidShutdown(to: &writer)
            addReply(slot, writer, space)
            return true
        }
        order.carryOut()
        connections[slot].isLeaving = true
        return true
    }
}
