// ReplyTarget: the parsers of replies on any bytes: they keep their promises, and end.

import Memcache

enum ReplyTarget {
    static func run(_ input: [UInt8]) -> String? {
        input.first.map { $0 & 1 == 1 } ?? false
            ? binary(Array(input.dropFirst())) : text(Array(input.dropFirst()))
    }

    private static func text(_ input: [UInt8]) -> String? {
        var parser = ReplyParser()
        var rest = input[...]
        while !rest.isEmpty {
            let bytes = Array(rest)
            switch parser.next(bytes.span) {
            case .needMore(let atLeast):
                return atLeast > bytes.count ? nil : "\(atLeast) wanted of \(bytes.count)"
            case .fault: return nil
            case .answer(let answer, let consumed):
                guard (1...bytes.count).contains(consumed),
                    [answer.key, answer.text].allSatisfy({
                        Int($0.offset) + Int($0.count) <= consumed
                    })
                else { return "an answer of \(consumed) of \(bytes.count): \(answer)" }
                rest = rest.dropFirst(consumed)
            }
        }
        return nil
    }

    private static func binary(_ input: [UInt8]) -> String? {
        var parser = BinaryReplyParser()
        var rest = input[...]
        while !rest.isEmpty {
            let bytes = Array(rest)
            switch parser.next(bytes.span) {
            case .needMore(let atLeast):
                return atLeast > bytes.count ? nil : "\(atLeast) wanted of \(bytes.count)"
            case .fault: return nil
            case .answer(let answer, let consumed):
                guard (1...bytes.count).contains(consumed) else {
                    return "an answer of \(consumed) of \(bytes.count): \(answer)"
                }
                rest = rest.dropFirst(consumed)
            }
        }
        return nil
    }
}
