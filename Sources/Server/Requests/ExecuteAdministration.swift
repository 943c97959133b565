// ExecuteAdministration: the joint for commands about the server itself, but for statistics.

internal import Memcache
internal import Primitives
internal import Store

extension Worker where Network: ~Copyable {
    /// slabs, lru, lru_crawler, extstore and watch.
    mutating func executeAdministration(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let place = batch[index].input
        let request = batch[index].request
        let answer = place.region.withBytes(
            place.offset + Int(request.argument.offset), Int(request.argument.count)
        ) {
            Administration.answer(
                request.verb, $0, isDumpDisabled: shared.settings.refused.contains(.dumping))
        }
        let slot = Int(batch[index].slot)
        var writer = replyWriter(space)
        switch answer {
        case .text(let text): writer.append(text)
        case .list(let kind):
            if !beginItems(slot, kind) { writer.append(Administration.busy) }
        case .watch(let kinds): writer.append(beginWatch(slot, kinds))
        }
        if writer.count > 0 { addReply(slot, writer, space) }
        return true
    }

    /// cache_memlimit: the memory for items, up to what was reserved at the start.
    mutating func executeMemoryLimit(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let request = batch[index].request
        var writer = replyWriter(space)
        let reserved = shared.settings.memoryBytes
        let leastBytes = max(reserved - door.withholdableBytes, 8 << 20)
        let leastMebibytes = UInt64(leastBytes + (1 << 20) - 1) >> 20
        switch request.delta {
        case ..<leastMebibytes: Reply.memlimitTooSmall(leastMebibytes, to: &writer)
        case 1_000_000_001...: Reply.memlimitNotMebibytes(to: &writer)
        default:
            let bytes = Int(request.delta) << 20
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

    /// debugtime, as a memcached for debugging has it; unknown unless it is allowed.
    mutating func executeDebugTime(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let place = batch[index].input
        let slice = batch[index].request.argument
        let isDone = place.region.withBytes(
            place.offset + Int(slice.offset), Int(slice.count)
        ) { shared.settings.allowed.contains(.debugTime) && Administration.moveClock($0) }
        // This turn's time is the new one, too.
        if isDone { retime() }
        var writer = replyWriter(space)
        if isDone { Reply.ok(to: &writer) } else { Reply.fault(.unknownCommand, to: &writer) }
        addReply(Int(batch[index].slot), writer, space)
        return true
    }

    /// shutdown: the process is sent the signal that it is stopped with.
    mutating func executeShutdown(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let slot = Int(batch[index].slot)
        let place = batch[index].input
        let request = batch[index].request
        var writer = replyWriter(space)
        let (order, isQuiet) = place.region.withBytes(
            place.offset + Int(request.argument.offset), Int(request.argument.count)
        ) { (ShutdownOrder($0), ShutdownOrder.isQuiet($0)) }
        guard shared.settings.allowed.contains(.shutdown), let order else {
            if shared.settings.allowed.contains(.shutdown) {
                Reply.invalidShutdown(to: &writer)
            } else {
                Reply.shutdownNotEnabled(to: &writer)
            }
            if !isQuiet { addReply(slot, writer, space) }
            return true
        }
        order.carryOut()
        connections[slot].leaving = .asked
        return true
    }
}
