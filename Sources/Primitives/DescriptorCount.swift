// DescriptorCount: how many descriptors this process may hold.
//
// A fence around getrlimit and setrlimit; what number is wanted is the server's business.

internal import Glibc

/// The two limits of RLIMIT_NOFILE, in descriptors.
public struct DescriptorCount: Sendable, Equatable {
    /// What holds now.
    public var soft: UInt64
    /// What the process may raise it to.
    public var hard: UInt64

    public init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }

    /// The limits now; nil if the kernel does not tell.
    public static func current() -> DescriptorCount? {
        var limit = rlimit()
        // SAFETY: `limit` is ours and outlives the call.
        guard unsafe getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit) == 0
        else { return nil }
        return DescriptorCount(soft: UInt64(limit.rlim_cur), hard: UInt64(limit.rlim_max))
    }

    /// Asks for these limits. Returns 0 or an errno.
    public func apply() -> Int32 {
        var limit = rlimit(rlim_cur: rlim_t(soft), rlim_max: rlim_t(hard))
        // SAFETY: `limit` is ours and outlives the call.
        let code = unsafe setrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        return code == 0 ? 0 : errno
    }
}
