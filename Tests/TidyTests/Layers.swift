// Layers: which module may import which, and where unsafe code may live.
//
// The arrows are those of docs/architecture.md. A new module or a new arrow is a decision: it is
// made there first, then here.

enum Layers {
    /// Modules whose fenced types hold the unsafe code.
    static let fenced: Set<String> = ["Primitives", "Uring", "LMDB"]

    /// What each module may import.
    static let imports: [String: Set<String>] = [
        "Primitives": ["CPrimitives", "Glibc", "Synchronization"],
        "Uring": ["CUring", "Primitives", "Glibc", "Synchronization"],
        "LMDB": ["CLMDB", "Glibc", "Synchronization"],
        "Memcache": ["Primitives"],
        "SegmentLog": ["Primitives", "Synchronization"],
        "Store": ["SegmentLog", "LMDB", "Primitives", "Glibc", "Synchronization"],
        "Server": [
            "Store", "SegmentLog", "Memcache", "Uring", "Primitives", "Glibc", "Synchronization",
        ],
        "brim": [
            "Server", "Store", "Uring", "Primitives", "Glibc", "ArgumentParser", "Configuration",
            "Logging", "Foundation", "FoundationEssentials",
        ],
        "Load": ["Memcache", "Uring", "Primitives", "Glibc", "Synchronization", "Histogram"],
        "micro": ["Store", "SegmentLog", "Memcache", "Primitives", "Glibc"],
        "Report": ["Load", "Primitives"],
        "brim-bench": [
            "Load", "Report", "Memcache", "Uring", "Primitives", "Glibc", "Synchronization",
            "ArgumentParser",
        ],
        // Drives the store without a server, with the keys that brim-bench would ask for.
        "Yardstick": ["Store", "Load", "Primitives", "Glibc"],
        "brim-yardstick": ["Yardstick", "Glibc", "ArgumentParser"],
    ]

    /// The module a file of Sources or Bench belongs to; nil for other files and unknown modules.
    static func module(of path: String) -> String? {
        let steps = path.split(separator: "/").map(String.init)
        guard steps.count >= 3, steps[0] == "Sources" || steps[0] == "Bench",
            imports[steps[1]] != nil
        else { return nil }
        return steps[1]
    }
}
