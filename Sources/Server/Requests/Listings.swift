// Listings: replies of any length that are made a stretch at a time: `stats conns`, and the lists
// of items for `lru_crawler metadump` and `mgdump`.
//
// A connection that is being answered with a list is served nothing else. The next stretch is made
// when the one before has gone, so a client that does not read costs nobody anything.

internal import Memcache
internal import Primitives
internal import Store

/// How far a list has come.
struct Listing: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case none, connections
        /// `key=… exp=…` and `mg …`.
        case items, keys
    }

    var kind = Kind.none
    /// Of connections.
    var connection = 0
    var item = ItemCursor()

    var isActive: Bool { kind != .none }
}

extension Worker where Network: ~Copyable {
    mutating func beginListing(_ slot: Int, _ kind: Listing.Kind) {
        connections[slot].listing = Listing(kind: kind)
        markReady(slot)
    }

    /// The next stretch.
    mutating func writeListing(_ slot: Int) {
        guard connections[slot].partBytes <= replyQuota else {
            beginWait(slot, .parts)
            return
        }
        guard let space = takeSpace(for: slot) else {
            if connections[slot].wait == .nothing { markReady(slot) }
            return
        }
        guard space.valueBytesMax == Door.copyBytesMax else {
            refuseRoom(slot)
            return
        }
        var writer = replyWriter(space)
        switch connections[slot].listing.kind {
        case .none: break
        case .connections: writeConnections(slot, to: &writer)
        case .items, .keys: writeItems(slot, to: &writer)
        }
        addReply(slot, writer, space)
        markReady(slot)
    }

    private mutating func writeConnections(_ slot: Int, to writer: inout ByteWriter) {
        let (text, next) = shared.rollText(
            from: connections[slot].listing.connection, bytesMax: ServerLimits.blockBytes, at: now)
        writer.append(text.span)
        if let next {
            connections[slot].listing.connection = next
        } else {
            Reply.end(to: &writer)
            connections[slot].listing = Listing()
        }
    }

    private mutating func writeItems(_ slot: Int, to writer: inout ByteWriter) {
        let listing = connections[slot].listing
        let memory = door.memory
        var copy = writer
        let next = door.list(from: listing.item, bucketsMax: ServerLimits.listedBucketsMax) {
            item in
            guard copy.count + ServerLimits.listedBytesMax <= Door.copyBytesMax else {
                return false
            }
            memory.withBytes(item.keyOffset, item.keyBytes) { key in
                if listing.kind == .items {
                    ItemLine.append(item, key, to: &copy)
                } else {
                    ItemLine.append(key, to: &copy)
                }
            }
            return true
        }
        writer = copy
        if let next {
            connections[slot].listing.item = next
        } else {
            if listing.kind == .items { Reply.end(to: &writer) } else { writer.append("EN\r\n") }
            connections[slot].listing = Listing()
        }
    }
}
