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
        if verb == .watch {
            return WatchKinds(words: words).map { .watch($0) } ?? .text(error)
        }
        let isQuiet = words.count > 1 && words.last == "noreply"
        if isQuiet { words.removeLast() }
        if verb == .lruCrawler, words.count == 2, let list = lists[words[0]] {
            return dump(list, classes: words[1], isDisabled: isDumpDisabled)
        }
        let answer =
            switch verb {
            case .slabs: slabs(words)
            case .lru: lru(words)
            case .lruCrawler: crawler(words)
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
        case ("automove", 2):
            UInt32(words[1]).map { $0 <= 2 ? ok : error } ?? badFormat
        default: error
        }
    }

    private static func lru(_ words: [String]) -> StaticString {
        switch (words.first, words.count) {
        case ("tune", 5...): isNumbers(words.dropFirst()) ? ok : error
        case ("mode", 2): ["flat", "segmented"].contains(words[1]) ? ok : error
        case ("temp_ttl", 2): isNumbers(words.dropFirst()) ? ok : error
        default: error
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

    private static func isNumbers(_ words: ArraySlice<String>) -> Bool {
        words.allSatisfy { Double($0) != nil }
    }
}
