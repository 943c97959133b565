// ExecuteAdministration: the joint for commands about the server itself, but for statistics.

internal import Memcache
internal import Primitives

extension Worker where Network: ~Copyable {
    /// slabs, lru, lru_crawler and watch.
    mutating func executeAdministration(_ index: Int, _ space: consuming ReplySpace) -> Bool {
        let place = batch[index].input
        let request = batch[index].request
        let answer = place.region.withBytes(
            place.offset + Int(request.argument.offset), Int(request.argument.count)
        ) { Administration.answer(request.verb, $0) }
        var writer = replyWriter(space)
        writer.append(answer)
        if writer.count > 0 { addReply(Int(batch[index].slot), writer, space) }
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
