// FuzzTarget: what is fuzzed, by name. An input is bytes, the outcome a complaint or nothing.
//
// `make fuzz` looks for inputs that reach more of the code (brim-fuzz); FuzzTests replays the
// corpus. Neither knows what a target does with its input.

package enum FuzzTarget: String, CaseIterable, Sendable {
    /// Requests, in one piece and in several.
    case requests
    /// Replies, as the load generator reads them.
    case replies
    /// Records as a read from disk brings them.
    case records
    /// The directory of a segment, as a start reads it.
    case directories
    /// A worker on a simulated ring, and what its peers do.
    case worker

    /// What is wrong, if anything. What must never happen at all traps.
    package func run(_ input: [UInt8]) -> String? {
        switch self {
        case .requests: RequestTarget.run(input)
        case .replies: ReplyTarget.run(input)
        case .records: ImageTarget.records(input)
        case .directories: ImageTarget.directories(input)
        case .worker: WorkerTarget.run(input)
        }
    }
}

/// Bytes of an input, one after the other; zeros when there are no more.
struct Choices {
    private var rest: ArraySlice<UInt8>

    init(_ input: [UInt8]) { rest = input[...] }

    var isOver: Bool { rest.isEmpty }

    mutating func next() -> Int { Int(rest.popFirst() ?? 0) }
    mutating func below(_ bound: Int) -> Int { next() % bound }
    mutating func of<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

    mutating func bytes(_ count: Int) -> [UInt8] {
        let taken = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        return taken
    }

    mutating func all() -> [UInt8] { bytes(rest.count) }
}
