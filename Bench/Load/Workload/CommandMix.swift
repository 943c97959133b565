// CommandMix: which commands are sent, in which proportion.

/// Proportions of the commands; a small value.
public struct CommandMix: Equatable, Sendable, CustomStringConvertible {
    /// Each command that occurs, with its weight.
    public let weights: [(command: LoadCommand, weight: UInt32)]
    static let weightMax: UInt32 = 1_000_000

    /// Reads `get=90,set=10`; a command alone counts once.
    public init(parsing text: String) throws(ArgumentFault) {
        var found: [(command: LoadCommand, weight: UInt32)] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard let command = LoadCommand.allCases.first(where: { $0.name == sides[0] }),
                sides.count <= 2, !found.contains(where: { $0.command == command })
            else {
                throw ArgumentFault(
                    "mix '\(text)' is not of the form get=90,set=10, of "
                        + LoadCommand.allCases.map(\.name).joined(separator: ", "))
            }
            let weight = sides.count == 2 ? UInt32(sides[1]) : 1
            guard let weight, weight <= Self.weightMax else {
                throw ArgumentFault(
                    "mix '\(text)': a weight is a number of at most \(Self.weightMax)")
            }
            if weight > 0 { found.append((command, weight)) }
        }
        guard !found.isEmpty else { throw ArgumentFault("mix '\(text)' has no command") }
        weights = found
    }

    private init(only command: LoadCommand) { weights = [(command, 1)] }

    public static let gets = CommandMix(only: .get)
    public static let sets = CommandMix(only: .set)

    public func contains(_ command: LoadCommand) -> Bool {
        weights.contains { $0.command == command }
    }

    /// Whether it counts up or down.
    public var counts: Bool { contains(.incr) || contains(.decr) }
    /// Whether it sends values.
    public var stores: Bool { contains(.set) || contains(.add) }

    public var description: String {
        weights.map { "\($0.command.name)=\($0.weight)" }.joined(separator: ",")
    }

    public static func == (one: CommandMix, other: CommandMix) -> Bool {
        one.description == other.description
    }
}

/// Draws commands by the weights; a value that any thread may copy.
struct CommandSampler: BitwiseCopyable, Sendable {
    /// Below which part of 2^32 each command ends, by its number.
    private var ends: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var moreEnds: (UInt64, UInt64, UInt64) = (0, 0, 0)
    private var only: LoadCommand?

    init(_ mix: CommandMix) {
        only = mix.weights.count == 1 ? mix.weights.first?.command : nil
        let total = mix.weights.reduce(0) { $0 + UInt64($1.weight) }
        var sum: UInt64 = 0
        func end(_ command: LoadCommand) -> UInt64 {
            sum += mix.weights.reduce(0) { $0 + ($1.command == command ? UInt64($1.weight) : 0) }
            return sum * (1 << 32) / total
        }
        ends = (end(.get), end(.set), end(.delete), end(.touch))
        moreEnds = (end(.incr), end(.decr), end(.add))
    }

    @inline(__always)
    func next(_ random: inout RandomStream) -> LoadCommand {
        if let only { return only }
        let draw = random.next() >> 32
        if draw < ends.0 { return .get }
        if draw < ends.1 { return .set }
        if draw < ends.2 { return .delete }
        if draw < ends.3 { return .touch }
        if draw < moreEnds.0 { return .incr }
        if draw < moreEnds.1 { return .decr }
        return draw < moreEnds.2 ? .add : .gat
    }
}
