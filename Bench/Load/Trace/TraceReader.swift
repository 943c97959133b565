// TraceReader: streams a trace: a window over a file or a pipe, and one request after the other.
//
// Memory is the window alone, whatever the trace's length. What a line or a record means is in
// TraceFormats; what is made of a request is the feed's business.

internal import Glibc
internal import Primitives
internal import Uring

/// Reads a trace from its beginning to its end, or to its first fault; one thread.
public struct TraceReader: BitwiseCopyable, Sendable {
    /// What came of asking for the next request.
    public enum Step: Equatable, Sendable {
        case request(TraceRequest)
        /// Nothing came in time; ask again.
        case pending
        case end
    }

    /// Longest line of a CSV, its end included.
    public static let lineBytesMax = 4096
    static let windowBytes = 1 << 20
    /// Longest that one `next` waits for a pipe.
    static let waitMilliseconds: Int32 = 50

    /// How the trace is written down; nil until its first bytes have come.
    public private(set) var format: TraceFormat?
    /// Requests that were read.
    public private(set) var count: UInt64 = 0
    private let source: ByteSource
    private let window: Region
    private let recordKeyBytes: UInt8
    /// The bytes of the window that are read but not parsed.
    private var start = 0
    private var end = 0
    private var hasEnded = false
    private var number: UInt64 = 0

    /// Opens a trace.
    ///
    /// - Parameters:
    ///   - path: A file, or `-` for standard input.
    ///   - format: Nil looks at the first bytes: text that begins with a digit and has commas is
    ///     CSV.
    ///   - recordKeyBytes: Bytes of a key where the trace knows none (oracleGeneral), 11 to 250.
    public init(_ path: String, format: TraceFormat? = nil, recordKeyBytes: Int = 16)
        throws(ArgumentFault)
    {
        var code: Int32 = 0
        guard let source = ByteSource.open(path, code: &code) else {
            throw ArgumentFault("trace '\(path)' cannot be opened: \(SystemError.text(code))")
        }
        guard let window = try? Region.map(byteCount: Self.windowBytes) else {
            source.close()
            throw ArgumentFault("trace: no memory for a window of \(Self.windowBytes) bytes")
        }
        self.source = source
        self.window = window
        self.format = format
        self.recordKeyBytes = ReplayKeyText.byteCount(UInt64(max(recordKeyBytes, 0)))
    }

    /// Closes the file; the reader is of no more use.
    public func close() { source.close() }

    /// The next request. Waits for a pipe, but not longer than 50 milliseconds.
    public mutating func next() throws(TraceFault) -> Step {
        guard let format = try detect() else { return .pending }
        while true {
            let step = format == .csv ? try nextLine() : try nextRecord()
            if let step {
                if case .request = step { count &+= 1 }
                return step
            }
            guard try fill() else { return .pending }
        }
    }

    // MARK: The window

    /// Reads more behind what is there. False if nothing came in time.
    private mutating func fill() throws(TraceFault) -> Bool {
        if start > 0 {
            window.copy(from: window, at: start, to: 0, count: end - start)
            end -= start
            start = 0
        }
        let got = source.read(
            into: window, at: end, count: Self.windowBytes - end,
            timeoutMilliseconds: Self.waitMilliseconds)
        guard got >= 0 else {
            let code = Int32(truncatingIfNeeded: -got)
            guard code == EAGAIN else {
                throw fault("cannot be read: \(SystemError.text(code))", after: true)
            }
            return false
        }
        hasEnded = got == 0
        end += got
        return true
    }

    /// The format, when the first line or record or the end has come.
    private mutating func detect() throws(TraceFault) -> TraceFormat? {
        if let format { return format }
        while true {
            let (isSure, looksLikeText) = window.withBytes(start, end - start, Self.inspect)
            if isSure || hasEnded {
                let found: TraceFormat = looksLikeText ? .csv : .oracle
                format = found
                return found
            }
            guard try fill() else { return nil }
        }
    }

    /// Whether enough is there to tell, and what it looks like.
    private static func inspect(_ bytes: Span<UInt8>) -> (isSure: Bool, looksLikeText: Bool) {
        var hasComma = false
        var index = 0
        while index < min(bytes.count, lineBytesMax) {
            let byte = bytes[index]
            if byte == 0x0A { return (true, hasComma) }
            let isText = index == 0 ? byte >= 0x30 && byte <= 0x39 : byte >= 0x20 || byte == 0x0D
            guard isText else { return (true, false) }
            hasComma = hasComma || byte == UInt8(ascii: ",")
            index += 1
        }
        return (index == lineBytesMax, hasComma)
    }

    // MARK: Requests

    /// Nil if more bytes are needed.
    private mutating func nextLine() throws(TraceFault) -> Step? {
        while true {
            let reach = min(end - start, Self.lineBytesMax)
            let newline = window.withBytes(start, reach) { ByteScan.newline(in: $0, from: 0) }
            if newline == reach {
                guard reach < Self.lineBytesMax else {
                    throw fault("is longer than \(Self.lineBytesMax) bytes", after: true)
                }
                guard hasEnded else { return nil }
                guard reach > 0 else { return .end }
            }
            number &+= 1
            let parsed = window.withBytes(start, newline) { (line) -> TraceParsed? in
                let hasReturn = line.count > 0 && line[line.count - 1] == 0x0D
                let length = hasReturn ? line.count - 1 : line.count
                return length == 0 ? nil : TraceCSV.parse(line.extracting(0..<length))
            }
            start += min(newline + 1, end - start)
            switch parsed {
            case .request(let request): return .request(request)
            case .fault(let reason): throw fault(reason)
            case nil: continue
            }
        }
    }

    private mutating func nextRecord() throws(TraceFault) -> Step? {
        let left = end - start
        guard left >= TraceRecord.byteCount else {
            guard hasEnded else { return nil }
            guard left == 0 else {
                throw fault(
                    "the trace ends after \(left) of \(TraceRecord.byteCount) bytes", after: true)
            }
            return .end
        }
        number &+= 1
        let request = window.withBytes(start, TraceRecord.byteCount) {
            TraceRecord.parse($0, keyBytes: recordKeyBytes)
        }
        start += TraceRecord.byteCount
        return .request(request)
    }

    /// A fault of the piece that was just taken, or of the one `after` it.
    private func fault(_ reason: String, after: Bool = false) -> TraceFault {
        TraceFault(
            unit: format == .oracle ? "record" : "line", number: after ? number &+ 1 : number,
            reason: reason)
    }
}
