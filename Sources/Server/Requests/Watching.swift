// Watching: what a worker tells those who watch (Watchers), and how it serves those of its own
// connections that do. Nothing here runs while nobody watches or counts.
//
// What a key was like is looked at before its request is executed, because afterwards nobody knows.
// As with memcached a look at a key is told of every command that has one.

internal import Memcache
internal import Primitives
internal import Store
internal import Uring

/// What was seen before a request was executed.
struct Sighting: BitwiseCopyable {
    var hits: UInt64 = 0
    var deleteHits: UInt64 = 0
    var sighted = Sighted.nothing
    /// What a storage command came to; nil: there was no memory for it.
    var stored: Outcome?
    /// The next outcome is that of a value that was received into the store.
    var isStaged = false
    /// Requests before the next whose key is counted among the hot.
    var untilSample = 0
}

extension Worker where Network: ~Copyable {
    // MARK: Watchers of this worker

    /// Makes a connection a watcher; the first line it is sent.
    mutating func beginWatch(_ slot: Int, _ kinds: WatchKinds) -> StaticString {
        guard !shared.settings.refused.contains(.watching) else {
            return "CLIENT_ERROR watch commands not allowed\r\n"
        }
        let (mailbox, waker) = (mailbox, ring.waker)
        guard let id = shared.observers.watch(kinds, tell: { mailbox.notify(waker) }) else {
            return "WATCHER_TOO_MANY log watcher limit reached\r\n"
        }
        beginListing(slot, .events, number: id)
        // It is served nothing else; what it sends is dropped.
        connections[slot].input.drop(next: .max)
        return "OK\r\n"
    }

    /// Whether there is nothing to send.
    func hasNoEvents(_ slot: Int) -> Bool {
        shared.observers.watchers.isEmpty(watcherID(slot))
    }

    /// The number of a watcher.
    private func watcherID(_ slot: Int) -> Int {
        transfers.listings[connections[slot].listingEntry].number
    }

    mutating func writeEvents(_ slot: Int, to writer: inout ByteWriter) {
        let bytes = shared.observers.watchers.take(
            watcherID(slot), bytesMax: ServerLimits.blockBytes)
        writer.append(bytes.span)
    }

    // MARK: Connections

    mutating func noteOpened(_ slot: Int) {
        guard shared.observers.isActive else { return }
        tellConnection(slot, reason: nil)
    }

    mutating func noteClosing(_ slot: Int, _ reason: Counter) {
        if connections[slot].listing == .events { shared.observers.endWatch(watcherID(slot)) }
        guard shared.observers.isActive else { return }
        switch reason {
        case .closedByPeer, .closedByRequest: tellConnection(slot, reason: "normal")
        case .idleKicks: tellConnection(slot, reason: "idle_timeout")
        case .closedDraining: tellConnection(slot, reason: "shutdown")
        default: tellConnection(slot, reason: "error")
        }
    }

    private mutating func tellConnection(_ slot: Int, reason: String?) {
        let watchers = shared.observers.watchers
        guard watchers.wants(.connections) else { return }
        let descriptor = connections[slot].descriptor
        let peer = SocketAddress.peer(of: Socket(descriptor: descriptor))
        watchers.add(
            .connections, WatchLine.connection(peer, descriptor: descriptor, reason: reason))
    }

    // MARK: Requests

    /// Notes what there is before a request is executed.
    mutating func lookAhead(_ index: Int) {
        let untilSample = sighting.untilSample
        sighting = Sighting()
        sighting.untilSample = untilSample
        sighting.hits = counters.value(.getHits)
        sighting.deleteHits = counters.value(.deleteHits)
        guard !shared.observers.watchers.kinds.isEmpty, let key = observedKey(index) else { return }
        sighting.sighted = key.place.region.withBytes(key.place.offset, key.count) {
            door.sight($0, hash: key.hash)
        }
    }

    /// The first entry of the batch whose key is counted among the hot, or, if that one cannot be
    /// executed now, the next that can. Chosen for a whole batch, so that all others pay nothing.
    @inline(__always) var firstSample: Int {
        shared.observers.isSampling ? sighting.untilSample : .max
    }

    /// A request was executed, the one in so many that hot keys are counted by.
    @inline(never) mutating func countKey(_ index: Int) {
        guard !batch[index].isFault, batch[index].request.observed != nil,
            let key = observedKey(index)
        else { return }
        key.place.region.withBytes(key.place.offset, key.count) {
            shared.observers.count(key: $0, hash: key.hash)
        }
    }

    /// A request was executed while prefixes are counted or somebody watches.
    mutating func observe(_ index: Int) {
        guard let key = observedKey(index) else { return }
        let observers = shared.observers
        if !batch[index].isFault, let kind = batch[index].request.observed {
            let isHit = counters.value(.getHits) != sighting.hits
            key.place.region.withBytes(key.place.offset, key.count) {
                observers.note(kind, isHit: isHit, key: $0)
            }
        }
        if !observers.watchers.kinds.isEmpty { tellRequest(index, key) }
    }

    /// The key of a request, decoded; of a fault that takes a value with it, too.
    private mutating func observedKey(_ index: Int) -> MetaKey? {
        let request = batch[index].request
        let slice = batch[index].isFault ? batch[index].fault.key : request.key
        guard slice.count > 0 else { return nil }
        var place = batch[index].input
        place.offset &+= Int(slice.offset)
        let isEncoded =
            batch[index].isFault ? batch[index].fault.isKeyEncoded : hasEncodedKey(index)
        guard !isEncoded else {
            return decodedKey(place, Int(slice.count))
        }
        return MetaKey(place: place, count: Int(slice.count), hash: batch[index].hash)
    }

    private mutating func hasEncodedKey(_ index: Int) -> Bool {
        switch batch[index].request.verb {
        case .metaGet, .metaSet, .metaDelete, .metaArithmetic, .metaDebug:
            return observedFlags(index).has("b")
        default: return false
        }
    }

    private mutating func observedFlags(_ index: Int) -> MetaFlags {
        let words = metaWords(index)
        return words.region.withBytes(
            words.offset, Int(batch[index].request.argument.count)
        ) { MetaFlags($0) }
    }

    private func bytes(of key: MetaKey) -> [UInt8] {
        (0..<key.count).map { key.place.region.uint8(at: key.place.offset + $0) }
    }

    private mutating func tellRequest(_ index: Int, _ key: MetaKey) {
        let slot = Int(batch[index].slot)
        guard !batch[index].isFault else {
            guard batch[index].fault.kind == .tooLarge else { return }
            let lineEndBytes: UInt64 = batch[index].fault.isBinary ? 0 : 2
            let valueBytes = Int(clamping: batch[index].fault.swallow &- lineEndBytes)
            tellStore(slot, key, .tooLarge, "set", ttl: 0, bytes: valueBytes)
            return
        }
        let request = batch[index].request
        tellFetch(slot, key)
        switch request.observed {
        case .set:
            let isMeta = request.verb == .metaSet
            let flags = isMeta ? observedFlags(index) : MetaFlags()
            let command = isMeta ? Self.name(storeMode(flags) ?? .set) : name(request)
            tellStore(
                slot, key, Self.status(sighting.stored), command,
                ttl: timeToLive(isMeta ? flags.touch : request.expiry),
                bytes: Int(request.value.count))
        case .delete where counters.value(.deleteHits) != sighting.deleteHits:
            tellDeletion(index, key)
        default: break
        }
    }

    private mutating func tellFetch(_ slot: Int, _ key: MetaKey) {
        // The read from disk tells.
        if case .onDisk = sighting.sighted { return }
        let watchers = shared.observers.watchers
        guard watchers.wants(.fetchers) else { return }
        var size = 0
        let status: WatchLine.Fetch
        switch sighting.sighted {
        case .item(let bytes):
            status = .found
            size = bytes
        case .dead(.expired): status = .expired
        case .dead(.flushed): status = .flushed
        case .nothing, .dead(.removed), .onDisk: status = .notFound
        }
        let descriptor = connections[slot].descriptor
        watchers.add(
            .fetchers,
            WatchLine.fetch(bytes(of: key), status, bytes: size, descriptor: descriptor))
    }

    private mutating func tellStore(
        _ slot: Int, _ key: MetaKey, _ status: WatchLine.Store, _ command: String, ttl: UInt32,
        bytes: Int
    ) {
        let watchers = shared.observers.watchers
        guard watchers.wants(.mutations) else { return }
        let descriptor = connections[slot].descriptor
        watchers.add(
            .mutations,
            WatchLine.store(
                self.bytes(of: key), status, command: command, ttl: ttl, bytes: bytes,
                descriptor: descriptor))
    }

    private mutating func tellDeletion(_ index: Int, _ key: MetaKey) {
        let isMeta = batch[index].request.verb == .metaDelete
        if isMeta {
            // What is only marked is not deleted.
            let flags = observedFlags(index)
            guard !flags.has("I"), !flags.has("x") else { return }
        }
        let watchers = shared.observers.watchers
        guard watchers.wants(.deletions) else { return }
        var size = 0
        if case .item(let bytes) = sighting.sighted { size = bytes }
        watchers.add(
            .deletions,
            WatchLine.deletion(bytes(of: key), command: isMeta ? "md" : "delete", bytes: size))
    }

    /// A storage command of the batch, or one whose value was received into the store, is decided.
    mutating func noteStored(_ slot: Int, _ outcome: Outcome) {
        guard sighting.isStaged else {
            sighting.stored = outcome
            return
        }
        sighting.isStaged = false
        guard shared.observers.watchers.kinds.contains(.mutations) else { return }
        guard connections[slot].incoming != nobody else { return }
        let incoming = transfers.incoming[connections[slot].incoming]
        let (request, set) = (incoming.request, incoming.meta.set)
        let isMeta = request.isBinary || request.verb == .metaSet
        let place = transfers.keyPlace(connections[slot].incoming)
        let key = MetaKey(place: place, count: Int(request.key.count), hash: 0)
        let second = isMeta ? set.expiry.second : absolute(request.expiry).second
        tellStore(
            slot, key, Self.status(outcome), isMeta ? Self.name(set.mode) : name(request),
            ttl: second == 0 ? 0 : max(second, now.seconds) - now.seconds,
            bytes: Int(request.valueBytes))
    }

    /// A get was answered from disk.
    mutating func noteRead(_ number: Int) {
        let watchers = shared.observers.watchers
        guard watchers.wants(.fetchers) else { return }
        let place = Location(region: readBytes, offset: keyOffset(number))
        let key = bytes(of: MetaKey(place: place, count: Int(reads[number].keyBytes), hash: 0))
        let record = reads[number].record
        let descriptor = connections[Int(reads[number].connection)].descriptor
        watchers.add(
            .fetchers,
            WatchLine.fetch(
                key, record == nil ? .notFound : .found, bytes: record?.valueBytes ?? 0,
                descriptor: descriptor))
    }

    // MARK: Words

    private mutating func timeToLive(_ sent: Int64) -> UInt32 {
        let second = absolute(sent).second
        return second == 0 ? 0 : max(second, now.seconds) - now.seconds
    }

    private static func status(_ outcome: Outcome?) -> WatchLine.Store {
        switch outcome {
        case nil: .noMemory
        case .stored: .stored
        case .exists: .exists
        case .notFound: .notFound
        case .tooLarge: .tooLarge
        default: .notStored
        }
    }

    private mutating func name(_ request: Request) -> String {
        if request.isBinary { return Self.name(binarySet(request).mode) }
        return Self.name(storeMode(request.verb))
    }

    private static func name(_ mode: StoreMode) -> String { "\(mode)" }
}
