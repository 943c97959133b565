// Observers: what an operator may have counted of single requests: prefixes of keys (`stats
// detail`) and the keys that are asked for most (`stats hotkeys`). Both are off until asked for.
//
// Workers look at one word for each request, and for hot keys once for many; only while something
// is counted or watched do they come here, and then under a lock. What is kept is bounded whatever
// clients send.

internal import Primitives
internal import Synchronization

/// What a request was, as far as it is counted.
enum Observed: Int {
    case get, set, delete
}

/// What `stats hotkeys` is to do.
enum HotKeyRequest: Equatable {
    case on, off
    case list(Int)

    init?(_ word: String?) {
        switch word {
        case nil: self = .list(10)
        case "on": self = .on
        case "off": self = .off
        case let text?:
            guard let count = Int(text), count > 0 else { return nil }
            self = .list(count)
        }
    }
}

final class Observers: Sendable {
    /// Prefixes that are counted, at most; what comes later is left out.
    static let prefixesMax = 4096
    /// What ends a prefix.
    let prefixEnd: UInt8
    /// One request in so many is looked at for hot keys.
    let sampling: Int

    private struct Counts {
        var gets = 0
        var hits = 0
        var sets = 0
        var deletes = 0
    }

    private struct State {
        var countsPrefixes = false
        var countsKeys = false
        var prefixes: [[UInt8]: Counts] = [:]
        /// Those that are counted, the first that was seen first.
        var names: [[UInt8]] = []
        var hotKeys: HotKeys
    }

    let watchers = Watchers()
    private let state: Mutex<State>
    private let active = Atomic<UInt8>(0)
    /// Has the store tell of evictions, or ends that.
    private let tapsEvictions = Mutex<(@Sendable (Bool) -> Void)?>(nil)

    /// - Parameter prefixEnd: prefixes that end so are counted from the start; nil: when asked to.
    init(sampling: Int, prefixEnd: UInt8? = nil) throws(MemoryError) {
        self.sampling = sampling
        self.prefixEnd = prefixEnd ?? UInt8(ascii: ":")
        state = Mutex(State(hotKeys: try HotKeys()))
        if prefixEnd != nil { counts(prefixes: true) }
    }

    /// Whether somebody is to hear of every request.
    @inline(__always) var isActive: Bool {
        active.load(ordering: .relaxed) & (Self.prefixesBit | Self.watchersBit) != 0
    }
    /// Whether hot keys are counted.
    @inline(__always) var isSampling: Bool {
        active.load(ordering: .relaxed) & Self.keysBit != 0
    }
    private static let prefixesBit: UInt8 = 1
    private static let keysBit: UInt8 = 2
    private static let watchersBit: UInt8 = 4

    var countsPrefixes: Bool { state.withLock { $0.countsPrefixes } }
    var countsKeys: Bool { state.withLock { $0.countsKeys } }

    func counts(prefixes: Bool) {
        state.withLock {
            $0.countsPrefixes = prefixes
            setActive($0)
        }
    }

    func counts(keys: Bool) {
        state.withLock {
            $0.countsKeys = keys
            $0.hotKeys.removeAll()
            setActive($0)
        }
    }

    /// `stats reset`: counting goes on, from nothing.
    func resetPrefixes() {
        state.withLock {
            $0.prefixes = [:]
            $0.names = []
        }
    }

    private func setActive(_ state: State) {
        var bits: UInt8 = state.countsPrefixes ? Self.prefixesBit : 0
        if state.countsKeys { bits |= Self.keysBit }
        if watchers.isActive { bits |= Self.watchersBit }
        active.store(bits, ordering: .relaxed)
    }

    // MARK: Watching

    func tapEvictions(_ tap: @escaping @Sendable (Bool) -> Void) {
        tapsEvictions.withLock { $0 = tap }
    }

    /// Somebody watches from now on, and is told by `tell` when there is something to take; nil if
    /// there are too many.
    func watch(_ kinds: WatchKinds, tell: @escaping @Sendable () -> Void) -> Int? {
        let id = watchers.add(kinds, tell: tell)
        watchersChanged()
        return id
    }

    func endWatch(_ id: Int) {
        watchers.remove(id)
        watchersChanged()
    }

    private func watchersChanged() {
        state.withLock { setActive($0) }
        tapsEvictions.withLock { $0?(watchers.kinds.contains(.evictions)) }
    }

    // MARK: Counting

    /// A request was executed.
    func note(_ kind: Observed, isHit: Bool, key: Span<UInt8>) {
        state.withLock { state in
            if state.countsPrefixes { count(kind, isHit, key, &state) }
        }
    }

    /// The same of the one in so many that hot keys are counted by.
    func count(key: Span<UInt8>, hash: UInt64) {
        state.withLock { state in
            if state.countsKeys { state.hotKeys.count(key, hash: hash) }
        }
    }

    /// As memcached: of a key in which no prefix ends nothing is counted.
    private func count(
        _ kind: Observed, _ isHit: Bool, _ key: Span<UInt8>, _ state: inout State
    ) {
        var end = 0
        while end < key.count, key[end] != prefixEnd { end += 1 }
        guard end < key.count else { return }
        let prefix = (0..<end).map { key[$0] }
        guard state.prefixes[prefix] != nil || state.prefixes.count < Self.prefixesMax else {
            return
        }
        if state.prefixes[prefix] == nil { state.names.append(prefix) }
        var counts = state.prefixes[prefix] ?? Counts()
        switch kind {
        case .get:
            counts.gets += 1
            if isHit { counts.hits += 1 }
        case .set: counts.sets += 1
        case .delete: counts.deletes += 1
        }
        state.prefixes[prefix] = counts
    }

    // MARK: Texts

    /// Adds lines from prefix `first` on, as many as fit into so many bytes; the next; nil: that
    /// was the last.
    func addPrefixes(
        from first: Int, bytesMax: Int, to lines: inout StatisticsLines
    ) -> Int? {
        state.withLock { state in
            var next = first
            while next < state.names.count {
                let prefix = state.names[next]
                let counts = state.prefixes[prefix] ?? Counts()
                let numbers =
                    " get \(counts.gets) hit \(counts.hits) set \(counts.sets)"
                    + " del \(counts.deletes)"
                let line = Array("PREFIX ".utf8) + prefix + Array(numbers.utf8)
                guard lines.bytes.count + line.count + 2 <= bytesMax else { return next }
                lines.add(line: line)
                next += 1
            }
            return nil
        }
    }

    /// The most wanted first, with about how many requests each had.
    func addHotKeys(_ count: Int, to lines: inout StatisticsLines) {
        for (name, requests) in mostWanted(count) {
            lines.add(line: Array("STAT ".utf8) + name + Array(" \(requests)".utf8))
        }
    }

    /// The same as texts: what is no UTF-8 is replaced.
    func hotKeys(_ count: Int) -> [(key: String, requests: Int)] {
        mostWanted(count).map { (String(decoding: $0.name, as: UTF8.self), $0.requests) }
    }

    /// The part of all looked-at requests that went to so many keys, those asked for most.
    func shareOfHottest(_ count: Int) -> Double {
        let counts = state.withLock { $0.hotKeys.countsInOrder }
        let all = counts.reduce(0, +)
        return all == 0 ? 0 : Double(counts.prefix(count).reduce(0, +)) / Double(all)
    }

    private func mostWanted(_ count: Int) -> [(name: [UInt8], requests: Int)] {
        state.withLock { $0.hotKeys.all }.prefix(count).map { key, samples in
            let name = key.map {
                $0 > 32 && $0 != 127 ? [$0] : Array("%\(String($0, radix: 16))".utf8)
            }
            return (Array(name.joined()), samples * sampling)
        }
    }
}
