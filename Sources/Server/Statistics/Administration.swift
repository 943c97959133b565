// Administration: what tuning commands of memcached are answered with.
//
// Off the hot road: words are taken apart with ordinary strings, by the worker that was asked.
// There are no slabs, no LRU lists and no crawler here, so nothing is changed; each command is
// answered in the words that memcached has for such a server, because a tool may wait for ever on
// any others.

internal import Memcache

enum Administration {
    /// The whole answer, its line end included; empty for `noreply`.
    static func answer(_ verb: Verb, _ argument: Span<UInt8>) -> StaticString {
        var bytes: [UInt8] = []
        for index in 0..<min(argument.count, 256) { bytes.append(argument[index]) }
        var words = String(decoding: bytes, as: UTF8.self).split(separator: " ").map(String.init)
        let isQuiet = words.count > 1 && words.last == "noreply"
        if isQuiet { words.removeLast() }
        let answer =
            switch verb {
            case .slabs: slabs(words)
            case .lru: lru(words)
            case .lruCrawler: crawler(words)
            case .watch: watch(words)
            default: error
            }
        return isQuiet ? "" : answer
    }

    private static let ok: StaticString = "OK\r\n"
    private static let error: StaticString = "ERROR\r\n"
    private static let badFormat: StaticString = "CLIENT_ERROR bad command line format\r\n"

    private static func slabs(_ words: [String]) -> StaticString {
        switch (words.first, words.count) {
        case ("reassign", 3): "CLIENT_ERROR slab reassignment disabled\r\n"
        case ("automove", 2): ["0", "1", "2"].contains(words[1]) ? ok : error
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
        case ("enable", 1): "ERROR failed to start lru crawler thread\r\n"
        case ("disable", 1): ok
        case ("sleep", 2), ("tocrawl", 2): UInt32(words[1]) != nil ? ok : badFormat
        case ("crawl", 2): "CLIENT_ERROR lru crawler disabled\r\n"
        case ("metadump", 2), ("mgdump", 2): "CLIENT_ERROR lru crawler disabled\r\n"
        default: error
        }
    }

    private static func watch(_ words: [String]) -> StaticString {
        let kinds = ["fetchers", "mutations", "evictions", "connevents", "deletions"]
        return words.allSatisfy(kinds.contains)
            ? "CLIENT_ERROR watch commands not allowed\r\n" : error
    }

    private static func isNumbers(_ words: ArraySlice<String>) -> Bool {
        words.allSatisfy { Double($0) != nil }
    }
}
