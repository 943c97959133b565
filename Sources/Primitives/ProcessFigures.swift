// ProcessFigures: memory, descriptors and threads of this process, as /proc tells. Off every hot
// road.

/// One look; zero for what the system does not tell.
public struct ProcessFigures: Sendable {
    public var residentBytes: UInt64 = 0
    /// Of these, what is no file's.
    public var anonymousBytes: UInt64 = 0
    public var virtualBytes: UInt64 = 0
    public var threads: UInt64 = 0
    public var openDescriptors: UInt64 = 0

    public static func current() -> ProcessFigures {
        var figures = ProcessFigures()
        let status = SystemTree.text("/proc/self/status", bytesMax: 64 << 10) ?? ""
        for line in status.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count >= 2, let number = UInt64(words[1]) else { continue }
            switch words[0] {
            case "VmSize:": figures.virtualBytes = number << 10
            case "VmRSS:": figures.residentBytes = number << 10
            case "RssAnon:": figures.anonymousBytes = number << 10
            case "Threads:": figures.threads = number
            default: break
            }
        }
        figures.openDescriptors = UInt64(SystemTree.names(in: "/proc/self/fd").count)
        return figures
    }
}
