// Listings: replies of any length that are made a stretch at a time: `stats conns`, and the lists
// of items for `lru_crawler metadump`, `mgdump` and `stats cachedump`.
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
        /// `key=… exp=…`, `mg …` and `ITEM …`.
        case items, keys, dump
        /// What a watcher is told: it has no end.
        case events

        @inline(__always) var isActive: Bool { self != .none }
    }

    /// Of connections; of events, the watcher's number.
    var connection = 0
    var item = ItemCursor()
    /// Items that may still be listed.
    var left = Int.max
}

extension Worker where Network: ~Copyable {
    mutating func beginListing(_ slot: Int, _ kind: Listing.Kind, limit: Int = .max) {
        precondition(!connections[slot].listing.isActive && kind.isActive)
        connections[slot].listing = kind
        connections[slot].listingEntry = transfers.listings.take(Listing(left: limit))
        markReady(slot)
    }

    /// The list is complete, or its connection gone.
    mutating func endListing(_ slot: Int) {
        guard connections[slot].listing.isActive else { return }
        transfers.listings.give(connections[slot].listingEntry)
        connections[slot].listing = .none
        connections[slot].listingEntry = nobody
    }

    /// The next stretch.
    mutating func writeListing(_ slot: Int) {
        guard connections[slot].partBytes <= replyQuota else {
            beginWait(slot, .parts)
            return
        }
        if connections[slot].listing == .events, waitsForEvents(slot) { return }
        guard let space = takeSpace(for: slot) else {
            if connections[slot].wait == .nothing { markReady(slot) }
            return
        }
        guard space.valueBytesMax == Door.copyBytesMax else {
            refuseRoom(slot)
            return
        }
        var writer = replyWriter(space)
        switch connections[slot].listing {
        case .none: break
        case .connections: writeConnections(slot, to: &writer)
        case .items, .keys, .dump: writeItems(slot, to: &writer)
        case .events: writeEvents(slot, to: &writer)
        }
        addReply(slot, writer, space)
        markReady(slot)
    }

    private mutating func writeConnections(_ slot: Int, to writer: inout ByteWriter) {
        let entry = connections[slot].listingEntry
        let (text, next) = shared.rollText(
            from: transfers.listings[entry].connection, bytesMax: ServerLimits.blockBytes, at: now)
        writer.append(text.span)
        if let next {
            transfers.listings[entry].connection = next
        } else {
            Reply.end(to: &writer)
            endListing(slot)
        }
    }

    private mutating func writeItems(_ slot: Int, to writer: inout ByteWriter) {
        let entry = connections[slot].listingEntry
        let (kind, listing) = (connections[slot].listing, transfers.listings[entry])
        let memory = door.memory
        var copy = writer
        var left = listing.left
        let next = door.list(from: listing.item, bucketsMax: ServerLimits.listedBucketsMax) {
            item in
            guard copy.count + ServerLimits.listedBytesMax <= Door.copyBytesMax else {
                return false
            }
            guard left > 0 else { return true }
            left -= 1
            memory.withBytes(item.keyOffset, item.keyBytes) { key in
                switch kind {
                case .items: ItemLine.append(item, key, to: &copy)
                case .dump: ItemLine.appendBrief(item, key, to: &copy)
                default: ItemLine.append(key, to: &copy)
                }
            }
            return true
        }
        writer = copy
        if let next, left > 0 {
            transfers.listings[entry].item = next
            transfers.listings[entry].left = left
        } else {
            if kind == .keys { writer.append("EN\r\n") } else { Reply.end(to: &writer) }
            endListing(slot)
        }
    }
}
