// SystemMemory: how much memory a process of this system may have: its container's limit, or the
// machine's memory. Read from files of the kernel, once for each time that settings are read.

internal import Primitives

package struct SystemMemory: Equatable {
    /// The least limit of the control groups that hold this process; nil if none is set.
    package var containerBytes: Int?
    package var machineBytes: Int

    /// What is there to be shared.
    package var bytes: Int { containerBytes ?? machineBytes }

    /// As the kernel tells.
    package init() { self.init { SystemTree.text($0, bytesMax: 64 << 10) } }

    /// - Parameter read: The text of a file, or nil.
    package init(_ read: (String) -> String?) {
        let total = Self.lines(read("/proc/meminfo"))
            .first { $0.hasPrefix("MemTotal:") }?
            .split(separator: " ").dropFirst().first.flatMap { Int($0) }
        machineBytes = (total ?? 0) << 10
        var limits: [Int] = []
        for line in Self.lines(read("/proc/self/cgroup")) {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            let isUnified = parts[0] == "0" && parts[1].isEmpty
            guard isUnified || parts[1].split(separator: ",").contains("memory") else { continue }
            let root = isUnified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory"
            let name = isUnified ? "memory.max" : "memory.limit_in_bytes"
            for folder in Self.ancestors(of: String(parts[2])) {
                let text = Self.lines(read(root + folder + "/" + name)).first
                // "max", or version 1's largest number, is no limit.
                if let limit = text.flatMap({ Int($0) }), limit > 0 { limits.append(limit) }
            }
        }
        let least = limits.min()
        containerBytes = least.flatMap { $0 < machineBytes || machineBytes == 0 ? $0 : nil }
    }

    /// By bytes: taking a text apart by letters takes as long as all the rest of reading settings.
    private static func lines(_ text: String?) -> [Substring] {
        (text ?? "").utf8.split(separator: 10).map { Substring($0) }
    }

    /// `/a/b`: itself, `/a`, and the root, which is empty.
    private static func ancestors(of path: String) -> [String] {
        var folders = [""]
        for step in path.split(separator: "/") { folders.append("\(folders.last ?? "")/\(step)") }
        return folders.reversed()
    }

    /// So many percent of it, in whole MiB; nil for what is no share of it.
    package func share(_ text: String) -> Int? {
        guard text.hasSuffix("%"), let percent = Values.count(String(text.dropLast())),
            (1...100).contains(percent), bytes > 0
        else { return nil }
        return (bytes * percent / 100) & ~((1 << 20) - 1)
    }

    /// What to say of a limit of the memory that the container will not let it have.
    package func warning(memoryBytes: Int, workers: Int) -> String? {
        guard let containerBytes else { return nil }
        let fixed = 8 << 20 + workers * (512 << 10)
        let fits = max(containerBytes - containerBytes / 10 - fixed, 0) >> 20
        guard memoryBytes >> 20 > fits else { return nil }
        return "memory-limit \(memoryBytes >> 20) is too much for a container of"
            + " \(containerBytes >> 20) MiB: \(fits) fits, with what does not depend on the load"
    }
}
