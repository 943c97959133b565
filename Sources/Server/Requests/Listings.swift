// Listings: replies of any length that are made a stretch at a time: `stats conns`, `stats detail
// dump`, and the lists of items for `lru_crawler metadump`, `mgdump` and `stats cachedump`.
//
// A connection that is being answered with a list is served nothing else. The next stretch is made
// when the one before has gone, so a client that does not read costs nobody anything. With a disk
// the store makes the lists of items on a thread of its own (`ItemLists`); here they are passed on.

internal import Memcache
internal import Primitives
internal import Store
internal import Uring

/// How far a list has come.
struct Listing: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case none, connections, prefixes
        /// `key=… exp=…`, `mg …` and `ITEM …`.
        case items, keys, dump
        /// What a watcher is told: it has no end.
        case events

        @inline(__always) var isActive: Bool { self != .none }
    }

    /// Of connections and prefixes, the next; of events, the watcher's number; of items that the
    /// store lists, the list's, which is never 0.
    var number = 0
    var item = ItemCursor()
    /// Items that may still be listed.
    var left = Int.max
}

extension Worker where Network: ~Copyable {
    mutating func beginListing(
        _ slot: Int, _ kind: Listing.Kind, number: Int = 0, limit: Int = .max
    ) {
        precondition(!connections[slot].listing.isActive && kind.isActive)
        connections[slot].listing = kind
        connections[slot].listingEntry = transfers.listings.take(
            Listing(number: number, left: limit))
        markReady(slot)
    }

    /// Begins a list of all items, in memory and on disk; false: not now.
    mutating func beginItems(_ slot: Int, _ kind: Listing.Kind) -> Bool {
        guard let lists = shared.itemLists else {
            beginListing(slot, kind)
            return true
        }
        let (mailbox, waker) = (mailbox, ring.waker)
        let (isBrief, ahead) = (kind == .keys, now.secondsAhead)
        let number = lists.begin { item, key, writer in
            if isBrief {
                ItemLine.append(key, to: &writer)
            } else {
                ItemLine.append(item, key, ahead: ahead, to: &writer)
            }
        } tell: {
            mailbox.notify(waker)
        }
        guard let number else { return false }
        beginListing(slot, kind, number: number)
        return true
    }

    /// The list is complete, or its connection gone.
    mutating func endListing(_ slot: Int) {
        guard connections[slot].listing.isActive else { return }
        if let number = storeList(slot) { shared.itemLists?.end(number) }
        transfers.listings.give(connections[slot].listingEntry)
        connections[slot].listing = .none
        connections[slot].listingEntry = nobody
    }

    /// The next stretch.
    mutating func writeListing(_ slot: Int) {
        guard connections[slot].deferred.count <= output.quota else {
            beginWait(slot, .parts)
            return
        }
        if waitsForMore(slot) { return }
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
        case .prefixes: writePrefixes(slot, to: &writer)
        case .items, .keys, .dump:
            if let number = storeList(slot) {
                takeItems(slot, number, to: &writer)
            } else {
                writeItems(slot, to: &writer)
            }
        case .events: writeEvents(slot, to: &writer)
        }
        addReply(slot, writer, space)
        markReady(slot)
    }

    /// The number of the list that the store makes for a connection; nil: it makes none.
    private func storeList(_ slot: Int) -> Int? {
        switch connections[slot].listing {
        case .none, .connections, .prefixes, .events: return nil
        case .items, .keys, .dump:
            let number = transfers.listings[connections[slot].listingEntry].number
            return number == 0 ? nil : number
        }
    }

    /// Whether others have to make what comes next, and have not yet; the connection waits then.
    private mutating func waitsForMore(_ slot: Int) -> Bool {
        let isWaiting =
            if let number = storeList(slot) {
                shared.itemLists?.isWaiting(number) ?? false
            } else {
                connections[slot].listing == .events && hasNoEvents(slot)
            }
        if isWaiting { beginWait(slot, .events) }
        return isWaiting
    }

    /// There may be more for connections that wait for events or items.
    mutating func resumeListings() {
        for slot in watched where connections[slot].wait == .events {
            connections[slot].waiting.done()
            endWait(slot)
        }
    }

    private mutating func writeConnections(_ slot: Int, to writer: inout ByteWriter) {
        let entry = connections[slot].listingEntry
        let (text, next) = shared.rollText(
            from: transfers.listings[entry].number, bytesMax: ServerLimits.blockBytes, at: now)
        writer.append(text.span)
        if let next {
            transfers.listings[entry].number = next
        } else {
            Reply.end(to: &writer)
            endListing(slot)
        }
    }

    private mutating func writePrefixes(_ slot: Int, to writer: inout ByteWriter) {
        let entry = connections[slot].listingEntry
        var lines = StatisticsLines()
        let next = shared.observers.addPrefixes(
            from: transfers.listings[entry].number, bytesMax: Door.copyBytesMax, to: &lines)
        writer.append(lines.bytes.span)
        if let next {
            transfers.listings[entry].number = next
        } else {
            Reply.end(to: &writer)
            endListing(slot)
        }
    }

    private mutating func writeItems(_ slot: Int, to writer: inout ByteWriter) {
        let entry = connections[slot].listingEntry
        let (kind, listing) = (connections[slot].listing, transfers.listings[entry])
        let (memory, ahead) = (door.memory, now.secondsAhead)
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
                case .items: ItemLine.append(item, key, ahead: ahead, to: &copy)
                case .dump: ItemLine.appendBrief(item, key, ahead: ahead, to: &copy)
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
            endItems(slot, to: &writer)
        }
    }

    /// What the store has made of its list.
    private mutating func takeItems(_ slot: Int, _ number: Int, to writer: inout ByteWriter) {
        let taken = shared.itemLists?.take(
            number, bytesMax: Door.copyBytesMax, into: &writer)
        switch taken {
        case .bytes, .nothing: break
        case .end, nil: endItems(slot, to: &writer)
        }
    }

    private mutating func endItems(_ slot: Int, to writer: inout ByteWriter) {
        if connections[slot].listing == .keys {
            writer.append("EN\r\n")
        } else {
            Reply.end(to: &writer)
        }
        endListing(slot)
    }
}
