// MachineFacts: the machine that a measurement was made on, as the kernel describes it.

internal import Primitives

/// Plain data; empty or 0 where the kernel does not tell.
public struct MachineFacts: Equatable, Sendable {
    public var kernel = ""
    /// The model of the first processor.
    public var processor = ""
    /// Cores that this process may run on.
    public var coreCount = 0
    public var memoryBytes: UInt64 = 0

    public init() {}

    /// Reads /proc/sys/kernel/osrelease, /proc/cpuinfo and /proc/meminfo.
    public static func read() -> MachineFacts {
        var facts = MachineFacts()
        facts.kernel = kernelRelease()
        facts.processor = value(of: "model name", in: "/proc/cpuinfo")
        facts.coreCount = Machine.coreCount
        let memory = value(of: "MemTotal", in: "/proc/meminfo").split(separator: " ").first
        facts.memoryBytes = (memory.flatMap { UInt64($0) } ?? 0) << 10
        return facts
    }

    static func kernelRelease() -> String {
        (SystemTree.text("/proc/sys/kernel/osrelease") ?? "").split(separator: "\n").first
            .map(String.init) ?? ""
    }

    /// What follows the colon of the first line with this name.
    private static func value(of name: String, in path: String) -> String {
        for line in (SystemTree.text(path) ?? "").split(separator: "\n") {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2, sides[0].trimmed == name else { continue }
            return sides[1].trimmed
        }
        return ""
    }
}

extension Substring {
    /// Without blanks and tabs at its ends.
    var trimmed: String {
        let blanks: Set<Character> = [" ", "\t"]
        let end = lastIndex { !blanks.contains($0) }.map { index(after: $0) } ?? startIndex
        return String(self[..<end].drop { blanks.contains($0) })
    }
}
