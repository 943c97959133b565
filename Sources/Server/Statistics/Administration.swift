// Administration: what tuning commands of memcached are answered with.
//
// Off the hot road: words are taken apart with ordinary strings, by the worker that was asked.
// There are no slabs and no LRU lists here, and what has expired is found without being asked for,
// so nothing is changed; each command is answered in the words that memcached has, because a tool
// may wait for ever on any others.

internal import Memcache
internal import Primitives

enum Administration {
    enum Answer: BitwiseCopyable {
        /// The whole answer, its line end included; empty for `noreply`.
        case text(StaticString)
        case list(Listing.Kind)
        case watch(WatchKinds)
    }

    static func answer(
        _ verb: Verb, _ argument: Span<UInt8>, isDumpDisabled: Bool
    ) -> Answer {
        var bytes: [UInt8] = []
        for index in 0..<min(argument.count, 256) { bytes.append(argument[index]) }
        var words = String(decoding: bytes, as: UTF8.self).split(separator: " ").map(String.init)
        let isQuiet = words.last == "noreply"
        if verb == .watch, !isQuiet {
            return WatchKinds(words: words).map { .watch($0) } ?? .text(error)
        }
        if isQuiet { words.removeLast() }
        if verb == .lruCrawler, words.count == 2, let list = lists[words[0]] {
            return dump(list, classes: words[1], isDisabled: isDumpDisabled)
        }
        let answer =
            switch verb {
            case .slabs: slabs(words)
            case .lru: lru(words)
            case .lruCrawler: crawler(words)
            case .extstore: extstore(words)
            default: error
            }
        return .text(isQuiet ? "" : answer)
    }

    /// `debugtime`: p, r, or seconds; false if it is something else.
    static func moveClock(_ argument: Span<UInt8>) -> Bool {
        guard argument.count < 16 else { return false }
        let bytes = (0..<argument.count).map { argument[$0] }
        switch String(decoding: bytes, as: UTF8.self) {
        case "p": Clock.pause(true)
        case "r": Clock.pause(false)
        case let word:
            guard let seconds = Int32(word) else { return false }
            Clock.shift(seconds: seconds)
        }
        return true
    }

    /// A list is not begun: recovery runs, or there are too many.
    static let busy: StaticString = "BUSY currently processing crawler request\r\n"
    private static let ok: StaticString = "OK\r\n"
    private static let error: StaticString = "ERROR\r\n"
    private static let badFormat: StaticString = "CLIENT_ERROR bad command line format\r\n"

    private static func slabs(_ words: [String]) -> StaticString {
        switch (words.first, words.count) {
        case ("reassign", 3): "CLIENT_ERROR slab reassignment disabled\r\n"
        case ("automove", 2...): automove(words.dropFirst())
        default: error
        }
    }

    /// Words behind those that memcached reads are passed over, as there.
    private static func automove(_ words: ArraySlice<String>) -> StaticString {
        let second = words.dropFirst().first
        switch words.first {
        case "ratio", "freeratio": return second.flatMap { Double($0) } != nil ? ok : error
        case "window":
            guard let seconds = second.flatMap({ UInt32($0) }) else { return badFormat }
            return (3...1800).contains(seconds) ? ok : badWindow
        case let word:
            guard let level = word.flatMap({ UInt32($0) }) else { return badFormat }
            return level <= 2 ? ok : error
        }
    }

    private static func lru(_ words: [String]) -> StaticString {
        switch (words.first, words.count) {
        case ("tune", 5...): tune(words)
        case ("mode", 2...): ["flat", "segmented"].contains(words[1]) ? ok : error
        case ("temp_ttl", 2...): Int32(words[1]) != nil ? ok : error
        default: error
        }
    }

    private static func tune(_ words: [String]) -> StaticString {
        guard let hot = UInt32(words[1]), let warm = UInt32(words[2]),
            let hotFactor = Double(words[3]), let warmFactor = Double(words[4])
        else { return error }
        guard UInt64(hot) + UInt64(warm) <= 80 else {
            return "ERROR hot and warm pcts must not exceed 80\r\n"
        }
        guard hotFactor > 0, warmFactor > 0 else {
            return "ERROR hot/warm age factors must be greater than 0\r\n"
        }
        return ok
    }

    /// What tunes the storage behind memcached's memory: there is one here, with no such knobs.
    private static func extstore(_ words: [String]) -> StaticString {
        guard words.count >= 2 else { return error }
        switch words[0] {
        case "free_memchunks":
            guard words.count >= 3, let number = UInt32(words[1]), UInt32(words[2]) != nil else {
                return error
            }
            return number < 64 ? ok : error
        case "item_size", "item_age", "low_ttl", "recache_rate", "compact_under", "drop_under",
            "max_sleep", "drop_unread":
            return UInt32(words[1]) != nil ? ok : error
        case "max_frag": return Double(words[1]) != nil ? ok : error
        default: return error
        }
    }

    private static func crawler(_ words: [String]) -> StaticString {
        switch (words.first, words.count) {
        case ("enable", 1), ("disable", 1): ok
        case ("sleep", 2):
            UInt32(words[1]).map { $0 <= 1_000_000 ? ok : badSleep } ?? badFormat
        case ("tocrawl", 2): UInt32(words[1]) != nil ? ok : badFormat
        case ("crawl", 2): isClass(words[1], of: 63) ? ok : badClass
        default: error
        }
    }

    private static let lists: [String: Listing.Kind] = ["metadump": .items, "mgdump": .keys]
    private static let badWindow: StaticString =
        "CLIENT_ERROR automove window too low or too high\r\n"
    private static let badSleep: StaticString =
        "CLIENT_ERROR sleep must be one second or less\r\n"
    private static let badClass: StaticString = "BADCLASS invalid class id\r\n"

    private static func dump(_ kind: Listing.Kind, classes: String, isDisabled: Bool) -> Answer {
        guard !isDisabled else {
            return .text(
                kind == .items
                    ? "ERROR metadump not allowed\r\n" : "ERROR key dump not allowed\r\n")
        }
        return isClass(classes) ? .list(kind) : .text(badClass)
    }

    /// All, or numbers of classes. There is one; those that memcached may have can be named where
    /// nothing is done with them.
    private static func isClass(_ word: String, of count: Int = 1) -> Bool {
        guard word != "all", word != "hash" else { return true }
        return word.split(separator: ",", omittingEmptySubsequences: false).allSatisfy {
            (1...count).contains(Int($0) ?? 0)
        }
    }
}
