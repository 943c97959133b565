// KernelFeatures: what a ring found in its kernel, for the log, the statistics and the refusal.

import CUring

/// The features that one ring uses; absent ones were probed for and done without.
public struct KernelFeatures: BitwiseCopyable, Sendable, Equatable {
    let bits: UInt32

    init(bits: UInt32) { self.bits = bits }

    /// Short names of what is in use, in a fixed order.
    public var names: [String] { Self.table.filter(has).map(\.name) }

    /// Whether everything is there that nothing works without.
    var isSufficient: Bool { missing.isEmpty }

    /// What nothing works without and the kernel does not have.
    var missing: [String] {
        Self.table.filter { $0.isRequired && !has($0) }.map { "\($0.name) (\($0.since))" }
    }

    private struct Feature {
        var name: String
        var bit: UInt32
        var since: String
        var isRequired: Bool
    }

    private func has(_ feature: Feature) -> Bool { bits & feature.bit != 0 }

    private static let table = [
        Feature(
            name: "single-issuer", bit: CURING_HAS_SINGLE_ISSUER.rawValue, since: "6.0",
            isRequired: false),
        Feature(
            name: "defer-taskrun", bit: CURING_HAS_DEFER_TASKRUN.rawValue, since: "6.1",
            isRequired: false),
        Feature(
            name: "coop-taskrun", bit: CURING_HAS_COOP_TASKRUN.rawValue, since: "5.19",
            isRequired: false),
        Feature(
            name: "taskrun-flag", bit: CURING_HAS_TASKRUN_FLAG.rawValue, since: "5.19",
            isRequired: false),
        Feature(
            name: "submit-all", bit: CURING_HAS_SUBMIT_ALL.rawValue, since: "5.18",
            isRequired: true),
        Feature(
            name: "registered-ring", bit: CURING_HAS_REGISTERED_RING.rawValue, since: "5.18",
            isRequired: false),
        Feature(
            name: "no-iowait", bit: CURING_HAS_NO_IOWAIT.rawValue, since: "6.15",
            isRequired: false),
        Feature(
            name: "buffer-ring", bit: CURING_HAS_BUFFER_RING.rawValue, since: "5.19",
            isRequired: false),
        Feature(
            name: "skip-success", bit: CURING_HAS_SKIP_SUCCESS.rawValue, since: "5.17",
            isRequired: true),
        Feature(
            name: "multishot", bit: CURING_HAS_MULTISHOT.rawValue, since: "6.0",
            isRequired: true),
    ]
}
