// Question+Answer: reads the answer to a request, and says what it means for each key.

/// What an answer says of one key.
struct Verdict {
    /// Empty: nothing.
    var effects: [Effect] = []
    var isOptional = false
    /// Only this run may know of it: there may have been no memory for a tombstone.
    var isForgotten = false
    /// It is a change that is certain.
    var isCertain = false
    /// Such an answer waits for its commit, where answers do.
    var isHeld = false
    var cas: (number: UInt64, bytes: [UInt8])?

    static func change(_ effects: [Effect], isHeld: Bool = true) -> Verdict {
        Verdict(effects: effects, isCertain: true, isHeld: isHeld)
    }
}

/// A value in an answer.
struct AnsweredValue {
    var flags: UInt32
    var cas: UInt64?
    var lifetime: Int64?
    var bytes: [UInt8]
    var marks: ShownMarks?
}

/// An answer, as far as it is whole.
enum Heard {
    case more
    /// How many bytes it took, and one verdict for each key.
    case answer(count: Int, [Verdict])
    case wrong(String)
}

extension Question {
    /// Reads one answer from the front of `bytes`.
    func hear(_ bytes: [UInt8], _ seconds: ClosedRange<UInt32>) -> Heard {
        if dialect == .binary { return hearBinary(bytes, seconds) }
        let isMeta = dialect == .meta
        if isGet { return isMeta ? hearMetaGet(bytes, seconds) : hearValues(bytes, seconds) }
        guard let (line, next) = Self.line(bytes, 0) else { return .more }
        if verb == .noop {
            return line == "MN" ? .answer(count: next, []) : .wrong("mn is told \(line)")
        }
        if isMeta, verb == .incr || verb == .decr, line.hasPrefix("VA ") {
            return hearMetaNumber(bytes, line, next, seconds)
        }
        guard let verdict = verdict(line, seconds) else {
            return .wrong("\(words) is told \(line)")
        }
        return .answer(count: next, Array(repeating: verdict, count: keys.count))
    }

    static func line(_ bytes: [UInt8], _ from: Int) -> (String, next: Int)? {
        guard let end = bytes[from...].firstIndex(of: 10) else { return nil }
        return (String(decoding: bytes[from..<max(end - 1, from)], as: UTF8.self), end + 1)
    }

    // MARK: Lines

    private func verdict(_ line: String, _ seconds: ClosedRange<UInt32>) -> Verdict? {
        if line.hasPrefix("SERVER_ERROR") { return refused(line) }
        let isMeta = dialect == .meta
        switch line {
        case "STORED" where isStoring: return .change(effects(seconds))
        case "HD" where isMeta && (isStoring || verb == .delete):
            return .change(effects(seconds))
        case "NOT_STORED" where isStoring && !isMeta, "NS" where isStoring && isMeta:
            return verb == .add ? Verdict(effects: [.present]) : Verdict()
        case "EXISTS" where verb == .cas && !isMeta, "EX" where verb == .cas && isMeta:
            return different
        case "NOT_FOUND" where verb == .delete, "NF" where verb == .delete && isMeta:
            return .change([.remove])
        case "NOT_FOUND" where verb == .touch: return untouched(seconds)
        case "NOT_FOUND" where !isMeta && verb == .cas: return Verdict()
        case "NF" where isMeta && verb == .cas: return Verdict()
        case "NOT_FOUND", "NF": return verb == .incr || verb == .decr ? Verdict() : nil
        case "DELETED" where verb == .delete: return .change([.remove])
        case "TOUCHED" where verb == .touch: return .change(effects(seconds))
        case "OK" where verb == .flush: return .change([.remove])
        case "OK" where verb == .flushLater: return Verdict()
        case "CLIENT_ERROR cannot increment or decrement non-numeric value":
            return verb == .incr || verb == .decr ? Verdict(effects: [.present]) : nil
        default: break
        }
        // Blanks may follow, where the number has become shorter.
        let digits = line.prefix { $0 != " " }
        guard verb == .incr || verb == .decr, let sum = UInt64(digits) else { return nil }
        return .change([.count(delta, isDecrement: verb == .decr, sum: sum)])
    }

    /// No memory, no disk in time, or too large: a set takes away what it was to replace.
    private func refused(_ line: String) -> Verdict? {
        let isKnown = [
            "SERVER_ERROR out of memory storing object", "SERVER_ERROR out of memory",
            "SERVER_ERROR object too large for cache",
        ].contains(line)
        guard isKnown else { return nil }
        return verb == .set ? Verdict(effects: [.remove], isForgotten: true) : Verdict()
    }

    var different: Verdict {
        // A short value may have come back.
        guard let casBytes, casBytes.count >= 16, casBytes.first == 0x76 else {
            return Verdict(effects: [.present])
        }
        return Verdict(effects: [.other(than: casBytes)])
    }

    private func hearMetaNumber(
        _ bytes: [UInt8], _ line: String, _ next: Int, _ seconds: ClosedRange<UInt32>
    ) -> Heard {
        guard let count = Int(line.dropFirst(3)) else { return .wrong("ma is told \(line)") }
        guard bytes.count >= next + count + 2 else { return .more }
        let text = String(decoding: bytes[next..<next + count], as: UTF8.self)
        guard let sum = UInt64(text.prefix { $0 != " " }) else {
            return .wrong("ma is told \(text)")
        }
        var effects = [Effect.count(delta, isDecrement: verb == .decr, sum: sum)]
        if sum == initial { effects.append(.put(made(seconds))) }
        return .answer(count: next + count + 2, [.change(effects)])
    }

    // MARK: Values

    func verdict(
        _ value: AnsweredValue, _ seconds: ClosedRange<UInt32>
    ) -> Verdict {
        let shown = Shown(
            bytes: value.bytes, flags: value.flags, lifetime: value.lifetime, marks: value.marks)
        var verdict: Verdict
        if verb == .gat || verb == .gats {
            let effect = Effect.readAndExpire(shown, lifetime.expiry(seconds))
            verdict = .change([effect], isHeld: false)
        } else if shown.isWon {
            let isEmpty = flagged.makes && value.bytes.isEmpty && value.flags == 0
            verdict = .change((isEmpty ? [.put(made(seconds))] : []) + [.read(shown)])
        } else {
            verdict = Verdict(effects: [.read(shown)])
        }
        verdict.cas = value.cas.map { ($0, value.bytes) }
        return verdict
    }

    var missed: Verdict { Verdict(effects: mustHit ? [.absent] : []) }

    /// A touch has found nothing. One into the past removes what recovery has not reached.
    func untouched(_ seconds: ClosedRange<UInt32>) -> Verdict {
        let isTouch = verb == .touch || verb == .gat || verb == .gats
        guard isTouch, !mustHit, lifetime.expiry(seconds) == nil else {
            return isGet ? missed : Verdict()
        }
        return Verdict(effects: [.remove], isOptional: true)
    }

    private func hearMetaGet(_ bytes: [UInt8], _ seconds: ClosedRange<UInt32>) -> Heard {
        guard let (line, next) = Self.line(bytes, 0) else { return .more }
        if line == "EN" || line.hasPrefix("SERVER_ERROR out of memory") {
            return .answer(count: next, [untouched(seconds)])
        }
        let words = line.split(separator: " ")
        guard words.first == "VA", words.count >= 3, let count = Int(words[1]) else {
            return .wrong("mg is told \(line)")
        }
        guard bytes.count >= next + count + 2 else { return .more }
        var value = AnsweredValue(
            flags: 0, bytes: Array(bytes[next..<next + count]),
            marks: ShownMarks(recache: flagged.recache))
        for word in words.dropFirst(2) {
            switch word.first {
            case "f": value.flags = UInt32(word.dropFirst()) ?? .max
            case "c": value.cas = UInt64(word.dropFirst())
            case "t": value.lifetime = Int64(word.dropFirst())
            case "W": value.marks?.isWon = true
            case "X": value.marks?.isStale = true
            case "Z": value.marks?.wasSent = true
            default: return .wrong("mg is told \(line)")
            }
        }
        return .answer(count: next + count + 2, [verdict(value, seconds)])
    }

    private func hearValues(_ bytes: [UInt8], _ seconds: ClosedRange<UInt32>) -> Heard {
        var verdicts: [Verdict] = []
        var position = 0
        while true {
            guard let (line, next) = Self.line(bytes, position) else { return .more }
            if line == "END" || line.hasPrefix("SERVER_ERROR out of memory") {
                while verdicts.count < keys.count { verdicts.append(untouched(seconds)) }
                return .answer(count: next, verdicts)
            }
            let words = line.split(separator: " ")
            guard words.count == (verb == .gets || verb == .gats ? 5 : 4), words[0] == "VALUE",
                let flags = UInt32(words[2]), let count = Int(words[3])
            else { return .wrong("\(self.words) is told \(line)") }
            guard bytes.count >= next + count + 2 else { return .more }
            while verdicts.count < keys.count, Self.name(keys[verdicts.count]) != words[1] {
                verdicts.append(untouched(seconds))
            }
            guard verdicts.count < keys.count, bytes[next + count] == 13 else {
                return .wrong("\(self.words) is told \(line)")
            }
            let value = AnsweredValue(
                flags: flags, cas: words.count == 5 ? UInt64(words[4]) : nil,
                bytes: Array(bytes[next..<next + count]))
            verdicts.append(verdict(value, seconds))
            position = next + count + 2
        }
    }
}
