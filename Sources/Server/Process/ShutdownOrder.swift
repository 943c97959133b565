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

    func carryOut() { _ = kill(getpid(), self == .plain ? SIGINT : SIGUSR1) }
}
