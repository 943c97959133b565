// The parser on transcripts and on random bytes: cut anywhere, on every prefix, never trapping.

import Memcache
import Support
import Testing

private let sections = Transcript.all.flatMap { file in
    file.sections.map { (name: "\(file.name) [\($0.name)]", section: $0) }
}

@Test func transcriptsAreFound() {
    #expect(Transcript.all.count >= 18)
}

@Test func transcriptsReadTheSameHoweverTheyAreCut() {
    for (name, section) in sections {
        let bytes = section.sent
        let whole = events(bytes)
        #expect(whole.complaints.isEmpty, "\(name)")
        guard bytes.count <= 60000 else { continue }
        let single = events(bytes, cuts: Array(1..<max(1, bytes.count)))
        #expect(single.events == whole.events, "\(name), byte by byte")
        #expect(single.complaints.isEmpty, "\(name), byte by byte")
        let step = max(1, bytes.count / 3000)
        for cut in stride(from: 0, through: bytes.count, by: step) {
            let cutOnce = events(bytes, cuts: [cut])
            #expect(cutOnce.complaints.isEmpty, "\(name), cut at \(cut)")
            guard cutOnce.events == whole.events else {
                Issue.record("\(name), cut at \(cut): \(cutOnce.events) is not \(whole.events)")
                break
            }
        }
    }
}

/// The error lines of a text that a parser alone can answer with.
private func errorLines(_ expected: [UInt8]) -> [String] {
    let lines = Fault.Kind.allCases.map { kind in written { Reply.fault(kind, to: &$0) } }
    return String(decoding: expected, as: UTF8.self).split(separator: "\r\n")
        .map { $0 + "\r\n" }.filter { lines.contains($0) }
}

@Test func faultsAndClosesAreThoseOfTheTranscripts() {
    // What is wrong with the flags of a meta command is found when it is executed.
    // That of tuning commands, too.
    let others = ["stats.txt", "administration.txt"]
    for file in Transcript.all where !others.contains(file.name) && !file.name.contains("/") {
        for section in file.sections {
            guard let expected = section.expected else { continue }
            var (lines, closes) = ([String](), false)
            for event in events(section.sent).events {
                switch event {
                case .fault(let kind, _, let quiet, let closing):
                    closes = closing
                    let line = quiet ? "" : written { Reply.fault(kind, to: &$0) }
                    if !line.isEmpty { lines.append(line) }
                case .request(let request, _, _, _) where request.verb == .quit:
                    closes = true
                default: break
                }
                if closes { break }
            }
            #expect(lines == errorLines(expected), "\(file.name) [\(section.name)]")
            #expect(closes == section.closes, "\(file.name) [\(section.name)]")
        }
    }
}

/// Whether `needMore` on every prefix of what stands at the start of `bytes` asks for something
/// that has not come, and never for more than the whole.
private func checkPrefixes(_ parser: ClassicParser, _ bytes: [UInt8], _ name: String) {
    var full = parser
    let whole = full.next(bytes.span)
    let end: Int
    switch whole {
    case .request(_, let consumed): end = consumed
    case .fault(let fault): end = fault.consumed
    case .needMore: end = bytes.count
    }
    for count in stride(from: 0, to: end, by: max(1, end / 3000)) {
        var part = parser
        switch part.next(bytes.span.extracting(0..<count)) {
        case .needMore(let atLeast):
            guard case .needMore(let wanted) = whole else {
                #expect(atLeast > count && atLeast <= end, "\(name): \(atLeast) after \(count)")
                continue
            }
            #expect(atLeast > count && atLeast <= wanted, "\(name): \(atLeast) after \(count)")
        case .fault(let early):
            if early.kind == .rest { continue }  // Blanks, dropped before their line goes on.
            guard case .fault(let late) = whole else {
                Issue.record("\(name): a fault that more bytes heal, after \(count)")
                return
            }
            #expect(early.kind == late.kind && early.closes == late.closes, "\(name)")
        case .request(let request, let consumed):
            // The end of a key is known by the byte behind it, which is not consumed.
            #expect(whole == .request(request, consumed: consumed), "\(name)")
        }
    }
}

@Test func everyPrefixIsHonest() {
    for (name, section) in sections where section.sent.count <= 60000 {
        var parser = ClassicParser(itemBytesMax: 1 << 20)
        var rest = section.sent
        while !rest.isEmpty {
            checkPrefixes(parser, rest, name)
            switch parser.next(rest.span) {
            case .request(_, let consumed): rest.removeFirst(consumed)
            case .fault(let fault):
                rest.removeFirst(fault.consumed)
                rest.removeFirst(Int(min(fault.swallow, UInt64(rest.count))))
                if fault.closes { rest = [] }
            case .needMore: rest = []
            }
        }
    }
}

private let dictionary: [String] = [
    "get ", "gets ", "gat ", "gats ", "set ", "add ", "cas ", "append ", "incr ", "decr ",
    "touch ", "delete ", "flush_all", "verbosity ", "version", "quit", "mn", "ms ", "mg ", "md ",
    "ma ", "me ", "stats", "slabs", "lru", "lru_crawler ", "watch ", " b", " T30", " k O1",
    "cache_memlimit", "shutdown", "noreply", " ", "  ", "\r\n", "\r\n", "\r\n", "\n", "\r", "0",
    "1", " 0 0 3\r\nabc\r\n", " 0 0 2\r\n", "-1", "4294967296", "18446744073709551616", "key",
    "HTTP/", "\t", "\0", "é", String(repeating: "k", count: 251),
    String(repeating: " ", count: 1100), String(repeating: "x", count: 2049),
]

@Test(arguments: 0..<40 as Range<UInt64>)
func randomInputNeverTrapsAndReadsTheSameInPieces(seed: UInt64) {
    var random = Chance(seed: seed)
    for _ in 0..<250 {
        var bytes: [UInt8] = []
        for _ in 0..<Int.random(in: 1...14, using: &random) {
            if Int.random(in: 0..<6, using: &random) == 0 {
                let count = Int.random(in: 1...9, using: &random)
                bytes += (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            } else {
                bytes += Array(dictionary.randomElement(using: &random)!.utf8)
            }
        }
        let limit = UInt32.random(in: 60...64, using: &random)
        let whole = events(bytes, itemBytesMax: limit)
        var cuts = Set<Int>()
        for _ in 0..<Int.random(in: 1...20, using: &random) {
            cuts.insert(Int.random(in: 0...bytes.count, using: &random))
        }
        let pieces = events(bytes, cuts: cuts.sorted(), itemBytesMax: limit)
        #expect(whole.complaints.isEmpty && pieces.complaints.isEmpty, "seed \(seed): \(bytes)")
        guard whole.events == pieces.events else {
            Issue.record("seed \(seed), cuts \(cuts.sorted()): \(text(bytes))")
            return
        }
    }
}
