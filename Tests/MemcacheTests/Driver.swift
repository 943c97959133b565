// Drives a parser as a connection would: pieces arrive, requests leave, faults are obeyed.

import Memcache

/// What a connection would have done, with the bytes instead of where they lay.
enum Event: Equatable, CustomStringConvertible {
    case request(Request, key: [UInt8], value: [UInt8], argument: [UInt8])
    case fault(Fault.Kind, key: [UInt8], quiet: Bool, closes: Bool)
    /// Bytes that are not a whole request yet.
    case pending(Int)
    /// A line that is not over; how much of it is left to parse depends on the cuts.
    case inside

    var description: String {
        switch self {
        case .request(let request, let key, let value, let argument):
            "\(request.verb)\(request.isQuiet ? " quiet" : "") \(text(key)) = \(text(value))"
                + " [\(text(argument))] f\(request.flags) e\(request.expiry) c\(request.cas)"
                + " d\(request.delta)"
        case .fault(let kind, let key, let quiet, let closes):
            "fault \(kind) \(text(key))\(quiet ? " quiet" : "")\(closes ? " closes" : "")"
        case .pending(let count): "pending \(count)"
        case .inside: "inside"
        }
    }
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes.prefix(60), as: UTF8.self) }

extension Array where Element == UInt8 {
    subscript(_ slice: Slice) -> [UInt8] { Array(self[slice.range]) }
}

struct Driver {
    var parser: ClassicParser
    var events: [Event] = []
    var rest: [UInt8] = []
    var swallow: UInt64 = 0
    var wanted = 1
    var isClosed = false
    /// Broken promises of the parser.
    var complaints: [String] = []

    init(itemBytesMax: UInt32 = 1 << 20) {
        parser = ClassicParser(itemBytesMax: itemBytesMax)
    }

    mutating func receive(_ piece: some Collection<UInt8>) {
        guard !isClosed else { return }
        rest += piece
        drop()
        // A promise is taken at its word: no call before so many bytes have come.
        while !isClosed, rest.count >= wanted {
            let before = rest.count
            step()
            if rest.count == before, wanted <= before {
                complaints.append("no progress at \(text(rest))")
                return
            }
        }
    }

    private mutating func step() {
        var parser = parser
        let header = parser.storageHeader(rest.span)
        let parsed = parser.next(rest.span)
        self.parser = parser
        if let header { check(header.0, header.consumed, parsed) }
        switch parsed {
        case .request(var request, let consumed):
            guard consumed > 0, consumed <= rest.count else {
                complaints.append("request consumed \(consumed) of \(rest.count)")
                isClosed = true
                return
            }
            let (key, value) = (rest[request.key], rest[request.value])
            let argument = rest[request.argument]
            request.key = .empty
            request.value = .empty
            request.argument = .empty
            events.append(.request(request, key: key, value: value, argument: argument))
            rest.removeFirst(consumed)
            wanted = 1
        case .fault(let fault):
            guard fault.consumed > 0, fault.consumed <= rest.count else {
                complaints.append("fault consumed \(fault.consumed) of \(rest.count)")
                isClosed = true
                return
            }
            if fault.kind != .rest {
                events.append(
                    .fault(
                        fault.kind, key: rest[fault.key], quiet: fault.isQuiet,
                        closes: fault.closes))
            } else if !fault.isQuiet {
                complaints.append("a rest that is not quiet")
            }
            rest.removeFirst(fault.consumed)
            swallow += fault.swallow
            isClosed = fault.closes
            wanted = 1
            drop()
        case .needMore(let count):
            if count <= rest.count { complaints.append("needMore \(count) of \(rest.count)") }
            wanted = count
        }
    }

    /// A header must be what `next` reads, or would read if the value were there.
    private mutating func check(_ header: Request, _ consumed: Int, _ parsed: Parsed) {
        let end = consumed + Int(header.valueBytes) + header.trailerBytes
        switch parsed {
        case .request(var request, end):
            request.value = .empty
            if request != header { complaints.append("\(header) is not \(request)") }
        case .needMore(end): break
        case .fault(let fault) where fault.kind == .badDataChunk && fault.consumed == end: break
        default: complaints.append("a header of \(parsed)")
        }
    }

    private mutating func drop() {
        let count = Int(min(swallow, UInt64(rest.count)))
        rest.removeFirst(count)
        swallow -= UInt64(count)
    }

    mutating func finish() -> [Event] {
        if !isClosed {
            if parser.isInsideLine {
                events.append(.inside)
            } else if !rest.isEmpty {
                events.append(.pending(rest.count))
            }
        }
        return events
    }
}

/// The events of `bytes`, arriving in pieces that end at `cuts` (ascending).
func events(
    _ bytes: [UInt8], cuts: [Int] = [], itemBytesMax: UInt32 = 1 << 20
) -> (events: [Event], complaints: [String]) {
    var driver = Driver(itemBytesMax: itemBytesMax)
    var start = 0
    for cut in cuts + [bytes.count] {
        driver.receive(bytes[start..<cut])
        start = cut
    }
    let events = driver.finish()
    return (events, driver.complaints)
}
