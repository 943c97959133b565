// Layers: which module may import which, and where unsafe code may live.
//
// The arrows are those of docs/architecture.md. A new module or a new arrow is a decision: it is
// made there first, then here.

enum Layers {
    /// Modules whose fenced types hold the unsafe code.
    static let fenced: Set<String> = ["Primitives", "Uring", "LMDB", "Simulation"]

    /// What each module may import.
    static let imports: [String: Set<String>] = [
        "Primitives": ["CPrimitives", "Glibc", "Synchronization"],
        "Uring": ["CUring", "Primitives", "Glibc", "Synchronization"],
        "LMDB": ["CLMDB", "Glibc", "Synchronization"],
        "Memcache": ["Primitives"],
        "SegmentLog": ["Primitives", "Synchronization"],
        "Store": ["SegmentLog", "LMDB", "Primitives", "Glibc", "Synchronization"],
        "Server": [
            "Store", "Memcache", "Uring", "Primitives", "Glibc", "Synchronization",
        ],
        // HTTP for operators, on a thread of its own; never on a worker's.
        "Admin": [
            "Server", "Uring", "Primitives", "Glibc", "Synchronization", "NIOCore", "NIOPosix",
            "NIOHTTP1",
        ],
        "brim": [
            "Admin", "Server", "Store", "Uring", "Primitives", "Glibc", "Logging",
            "Synchronization",
        ],
        "Load": ["Memcache", "Uring", "Primitives", "Glibc", "Synchronization", "Histogram"],
        "micro": ["Server", "Store", "SegmentLog", "Memcache", "Uring", "Primitives", "Glibc"],
        "Report": ["Load", "Primitives"],
        "brim-bench": [
            "Load", "Report", "Memcache", "Uring", "Primitives", "Glibc", "Synchronization",
            "ArgumentParser",
        ],
        // Drives the store without a server, with the keys that brim-bench would ask for.
        "Yardstick": ["Store", "Load", "Primitives", "Glibc"],
        "brim-yardstick": ["Yardstick", "Glibc", "ArgumentParser"],
        // A ring and a network without a kernel, for the tests of everything above them.
        "Simulation": ["Uring", "Primitives", "Support", "Glibc"],
    ]

    /// Whether files below this folder of the package belong to a module that has a layer: all of
    /// Sources and Bench, and of Tests what other tests are built on.
    static func isLayered(_ path: String) -> Bool {
        ["Sources/", "Bench/", "Tests/Simulation/"].contains { path.hasPrefix($0) }
    }

    /// The module that a layered file belongs to; nil for other files and unknown modules.
    static func module(of path: String) -> String? {
        let steps = path.split(separator: "/").map(String.init)
        guard isLayered(path), steps.count >= 3, imports[steps[1]] != nil else { return nil }
        return steps[1]
    }
}
