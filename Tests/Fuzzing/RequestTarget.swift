// RequestTarget: the parser on any bytes, whole and in pieces: it keeps its promises, and how the
// bytes were cut does not show.

import Memcache

enum RequestTarget {
    /// The first byte says how large an item may be, the second how the rest is cut.
    static func run(_ input: [UInt8]) -> String? {
        var choices = Choices(input)
        let itemBytesMax = choices.of([1024, 1 << 20, 16 << 10] as [UInt32])
        let step = choices.of([1, 2, 3, 7, 16, 61, 200, 1000])
        let bytes = choices.all()
        var whole = Feed(itemBytesMax)
        whole.take(bytes[...])
        if let complaint = whole.complaint { return complaint }
        var parted = Feed(itemBytesMax)
        var start = 0
        while start < bytes.count {
            let end = min(start + step, bytes.count)
            parted.take(bytes[start..<end])
            start = end
        }
        if let complaint = parted.complaint { return "in pieces: \(complaint)" }
        guard whole.events == parted.events else {
            return "pieces of \(step) are read as \(parted.events), the whole as \(whole.events)"
        }
        return nil
    }
}

/// A parser as a connection drives it, and what it made of the bytes.
private struct Feed {
    private var parser: ClassicParser
    private var rest: [UInt8] = []
    private var swallow: UInt64 = 0
    private var wanted = 1
    private var isClosed = false
    private(set) var events: [String] = []
    private(set) var complaint: String?

    init(_ itemBytesMax: UInt32) { parser = ClassicParser(itemBytesMax: itemBytesMax) }

    mutating func take(_ piece: ArraySlice<UInt8>) {
        rest += piece
        drop()
        while !isClosed, complaint == nil, rest.count >= wanted, !rest.isEmpty { step() }
    }

    private mutating func drop() {
        let count = Int(min(swallow, UInt64(rest.count)))
        rest.removeFirst(count)
        swallow -= UInt64(count)
    }

    private mutating func step() {
        var parser = parser
        let parsed = parser.next(rest.span)
        self.parser = parser
        switch parsed {
        case .needMore(let atLeast):
            if atLeast <= rest.count { complaint = "\(atLeast) wanted of \(rest.count)" }
            wanted = atLeast
        case .request(let request, let consumed):
            guard (1...rest.count).contains(consumed),
                [request.key, request.value, request.argument].allSatisfy({
                    Int($0.offset) + Int($0.count) <= consumed
                })
            else {
                complaint = "a request of \(consumed) of \(rest.count): \(request)"
                return
            }
            events.append(
                "\(request.verb) \(text(request.key)) \(text(request.value))"
                    + " \(text(request.argument)) \(request.flags) \(request.expiry)"
                    + " \(request.cas) \(request.delta) \(request.isQuiet)")
            consume(consumed)
        case .fault(let fault):
            guard (1...rest.count).contains(fault.consumed),
                Int(fault.key.offset) + Int(fault.key.count) <= fault.consumed
            else {
                complaint = "a fault of \(fault.consumed) of \(rest.count): \(fault)"
                return
            }
            // How often the rest of a line is met depends on the cuts.
            if fault.kind != .rest {
                events.append("\(fault.kind) \(text(fault.key)) \(fault.isQuiet) \(fault.closes)")
            }
            isClosed = fault.closes
            swallow += fault.swallow
            consume(fault.consumed)
        }
    }

    private func text(_ slice: Slice) -> String { "\(Array(rest[slice.range]))" }

    private mutating func consume(_ count: Int) {
        rest.removeFirst(count)
        wanted = 1
        drop()
    }
}
