// swift-tools-version: 6.3
import PackageDescription

/// Every module of ours: Swift 6 mode, strict memory safety, and its diagnostics are errors.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatWarning("StrictMemorySafety", as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Tests that only drive what they test are not optimised: compiling them so takes a minute each,
/// and what they test is. Those of generic code, which is compiled where it is used, and those
/// that play millions of steps are.
let driving: [SwiftSetting] = [.unsafeFlags(["-Onone"])]

let package = Package(
    name: "brim",
    products: [
        .executable(name: "brim", targets: ["brim"]),
        .executable(name: "brim-bench", targets: ["brim-bench"]),
        .executable(name: "brim-yardstick", targets: ["brim-yardstick"]),
    ],
    // Exact versions, not ranges: a released binary must be reproducible from its commit, and no
    // Package.resolved is kept here (it holds the revisions of whatever mirror it was made with).
    // A newer version is a commit of its own, made after `make test`; see docs/versions.md.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
        // HTTP for the admin port.
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        // Tests only: what the reader of the settings file is compared with.
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .target(name: "CPrimitives"),
        .target(name: "Primitives", dependencies: ["CPrimitives"], swiftSettings: strict),
        .target(
            name: "CUring", linkerSettings: [.linkedLibrary("uring")]),
        .target(name: "Uring", dependencies: ["CUring", "Primitives"], swiftSettings: strict),
        .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .target(name: "LMDB", dependencies: ["CLMDB"], swiftSettings: strict),
        .target(name: "Memcache", dependencies: ["Primitives"], swiftSettings: strict),
        .target(name: "SegmentLog", dependencies: ["Primitives"], swiftSettings: strict),
        .target(
            name: "Store", dependencies: ["SegmentLog", "LMDB", "Primitives"],
            swiftSettings: strict),
        .target(
            name: "Server",
            dependencies: ["Store", "Memcache", "Uring", "Primitives"],
            swiftSettings: strict),
        .target(
            name: "Admin",
            dependencies: [
                "Server", "Uring", "Primitives",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            resources: [.embedInCode("page.html")],
            swiftSettings: strict),
        .executableTarget(
            name: "brim",
            dependencies: [
                "Admin", "Server", "Store", "Uring", "Primitives",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "Load",
            dependencies: [
                "Memcache", "Uring", "Primitives",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            path: "Bench/Load", swiftSettings: strict),
        .target(
            name: "Report", dependencies: ["Load", "Primitives"], path: "Bench/Report",
            swiftSettings: strict),
        .executableTarget(
            name: "brim-bench",
            dependencies: [
                "Load", "Report", "Primitives",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Bench/brim-bench", swiftSettings: strict),
        .executableTarget(
            name: "brim-micro",
            dependencies: ["Server", "Store", "SegmentLog", "Memcache", "Uring", "Primitives"],
            path: "Bench/micro", swiftSettings: strict),
        .target(
            name: "Yardstick", dependencies: ["Store", "Load", "Primitives"],
            path: "Bench/Yardstick", swiftSettings: strict),
        .executableTarget(
            name: "brim-yardstick",
            dependencies: [
                "Yardstick", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Bench/brim-yardstick", swiftSettings: strict),
        .target(
            name: "ServerSimulation",
            dependencies: [
                "Server", "Store", "StoreSimulation", "Uring", "Simulation", "Primitives",
            ],
            path: "Tests/ServerSimulation"),
        .target(
            name: "Fuzzing",
            dependencies: [
                "Server", "ServerSimulation", "Simulation", "Memcache", "SegmentLog", "Store",
                "Primitives",
            ],
            path: "Tests/Fuzzing", exclude: ["corpus"]),
        .testTarget(name: "FuzzTests", dependencies: ["Fuzzing", "brim", "Support"]),
        .testTarget(
            name: "YardstickTests", dependencies: ["Yardstick"], swiftSettings: driving),
        .testTarget(name: "MemcacheTests", dependencies: ["Memcache", "Primitives", "Support"]),
        .testTarget(name: "PrimitivesTests", dependencies: ["Primitives"]),
        .target(
            name: "Simulation", dependencies: ["Uring", "Primitives", "Support"],
            path: "Tests/Simulation",
            swiftSettings: strict),
        .testTarget(
            name: "UringTests", dependencies: ["Uring", "Simulation", "Primitives", "Support"]),
        .executableTarget(
            name: "lmdb-probe", dependencies: ["LMDB", "Support"], path: "Tests/LMDBProbe"),
        .testTarget(
            name: "LMDBTests", dependencies: ["LMDB", "lmdb-probe", "Support"],
            swiftSettings: driving),
        .testTarget(
            name: "LoadTests",
            dependencies: ["Load", "Report", "brim-bench", "Primitives", "Uring"],
            swiftSettings: driving),
        .target(name: "Support", path: "Tests/Support"),
        .target(
            name: "StoreSimulation", dependencies: ["Store", "LMDB", "Primitives", "Support"],
            path: "Tests/StoreSimulation"),
        .target(
            name: "WholeSimulation",
            dependencies: [
                "Server", "Store", "LMDB", "Uring", "Simulation", "StoreSimulation", "Primitives",
                "Support",
            ],
            path: "Tests/WholeSimulation"),
        .executableTarget(
            name: "store-simulate",
            dependencies: ["StoreSimulation", "WholeSimulation", "Primitives", "Support"],
            path: "Tests/StoreSimulate"),
        .testTarget(
            name: "BrimTests",
            dependencies: [
                "brim", "Server", "Primitives", "Support",
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: driving),
        .testTarget(
            name: "ProcessTests", dependencies: ["brim", "brim-micro", "Support"],
            swiftSettings: driving),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Server", "Store", "SegmentLog", "Uring", "Simulation", "ServerSimulation",
                "WholeSimulation", "Primitives", "Support",
            ]),
        .testTarget(
            name: "SegmentLogTests", dependencies: ["SegmentLog", "Primitives", "Support"]),
        .testTarget(
            name: "StoreTests",
            dependencies: [
                "Store", "StoreSimulation", "SegmentLog", "LMDB", "Primitives", "Support",
            ]),
        .testTarget(name: "TidyTests", swiftSettings: driving),
    ]
)

// The fuzzer is linked with a library of the compiler's, and everything in it is built to tell
// where it has been: only `make fuzz` asks for it.
if Context.environment["BRIM_FUZZ"] != nil {
    package.products.append(.executable(name: "brim-fuzz", targets: ["brim-fuzz"]))
    package.targets.append(.systemLibrary(name: "CLibFuzzer", path: "Tests/CLibFuzzer"))
    package.targets.append(
        .executableTarget(
            name: "brim-fuzz", dependencies: ["Fuzzing", "CLibFuzzer"], path: "Tests/FuzzMain",
            exclude: ["settings"]))
}
