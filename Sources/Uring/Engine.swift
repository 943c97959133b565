// Engine: which of the kernel's two ways a ring goes, and what both kinds have in common.

/// How the process talks to its sockets.
public enum Engine: String, Sendable, CaseIterable {
    case uring = "io_uring"
    case epoll
}

/// A ring that the system drives, and that can be made of a configuration.
public protocol SystemRing: Ring, ~Copyable {
    static var engine: Engine { get }
    init(configuration: RingConfiguration) throws(RingError)
    /// Provided receive buffers; fewer than asked for where lockable memory is short.
    var bufferCount: Int { get }
    /// What it uses of what the kernel offers, in a fixed order.
    var featureNames: [String] { get }
}

extension KernelRing: SystemRing {
    public static var engine: Engine { .uring }
    public var featureNames: [String] { features.names }
}

extension RingError {
    /// Whether epoll may work where this came of making a ring: the ring was refused, or lacks
    /// what nothing works without. Descriptors that have run out would be missing there too.
    public var allowsEpoll: Bool {
        switch self {
        case .denied(let code): !Self.isShortage(code)
        case .memory, .kernelLacks: true
        case .submission, .pollDenied: false
        }
    }
}
