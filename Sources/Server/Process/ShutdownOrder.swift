// ShutdownOrder: what the shutdown command does: it sends the process the signal of an operator.

internal import Glibc

/// How to stop.
enum ShutdownOrder {
    case plain, graceful

    /// From the word behind the command; nil for one that is unknown.
    init?(_ word: Span<UInt8>) {
        var bytes: [UInt8] = []
        for index in 0..<min(word.count, 16) { bytes.append(word[index]) }
        switch String(decoding: bytes, as: UTF8.self) {
        case "": self = .plain
        case "graceful": self = .graceful
        default: return nil
        }
    }

    /// Whether a refusal is not to be answered: `noreply` stands at the end of the words.
    static func isQuiet(_ words: Span<UInt8>) -> Bool {
        let start = words.count - "noreply".utf8.count
        guard start >= 0, start == 0 || words[start - 1] == 0x20 else { return false }
        return String(decoding: (start..<words.count).map { words[$0] }, as: UTF8.self)
            == "noreply"
    }

    func carryOut() { _ = kill(getpid(), self == .plain ? SIGINT : SIGUSR1) }
}
