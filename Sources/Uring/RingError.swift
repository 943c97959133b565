// RingError: why a ring could not be made or driven, and what the operator can do about it.

internal import CUring
internal import Glibc

/// A failure of the ring itself, not of one operation.
public enum RingError: Error, Equatable {
    /// The kernel or a policy refuses io_uring (EPERM, ENOSYS, EACCES, …): the errno.
    case denied(errno: Int32)
    /// Memory for the rings or buffers was refused.
    case memory
    /// A feature without which nothing works is missing.
    case kernelLacks(String)
    /// A submission failed with an errno that cannot be retried.
    case submission(errno: Int32)
    /// epoll is refused: the errno.
    case pollDenied(errno: Int32)

    /// Whether the errno says that the process or the system has no descriptor left.
    static func isShortage(_ code: Int32) -> Bool { code == EMFILE || code == ENFILE }

    /// One line: the error by name, its likely cause, what to do. Reads the sysctl's value.
    public var explanation: String {
        explanation(sysctl: Self.disabledSetting())
    }

    /// The line for a given value of `kernel.io_uring_disabled`; nil where there is no such file.
    package func explanation(sysctl: Int?) -> String {
        switch self {
        case .denied(EPERM), .denied(EACCES):
            return "io_uring is refused (\(errnoName)): " + Self.refusal(sysctl)
        case .denied(ENOSYS) where sysctl != nil:
            // The kernel has the setting, so it has io_uring.
            return "io_uring is refused (ENOSYS): " + Self.profile(sysctl)
        case .denied(ENOSYS):
            return "io_uring is refused (ENOSYS): this kernel or sandbox (gVisor, old kernels) "
                + "has no io_uring; run on Linux 6.1 or newer, outside such a sandbox"
        case .denied(EMFILE), .denied(ENFILE):
            return "io_uring is refused (\(errnoName)): no descriptor is left; raise the limit "
                + "(ulimit -n, LimitNOFILE=)"
        case .denied:
            return "io_uring is refused (\(errnoName)); Linux 6.1 or newer is needed"
        case .memory:
            return "io_uring is refused (ENOMEM): no memory for the rings and buffers; raise the "
                + "memlock limit (ulimit -l, LimitMEMLOCK=) or the container's memory, or use "
                + "fewer threads (-t)"
        case .kernelLacks(let feature):
            return "io_uring of this kernel lacks \(feature); run on Linux 6.1 or newer"
        case .submission:
            return "the ring stopped working (\(errnoName)); the kernel's log may say why"
        case .pollDenied:
            return "epoll is refused (\(errnoName)); raise the limit of descriptors "
                + "(ulimit -n, LimitNOFILE=)"
        }
    }

    private static func refusal(_ sysctl: Int?) -> String {
        switch sysctl {
        case 2?:
            return "the sysctl kernel.io_uring_disabled is 2, for nobody; "
                + "set it to 0 (sysctl -w kernel.io_uring_disabled=0)"
        case 1?:
            return "the sysctl kernel.io_uring_disabled is 1, for kernel.io_uring_group only; "
                + "join that group or set it to 0 (sysctl -w kernel.io_uring_disabled=0)"
        default: return profile(sysctl)
        }
    }

    private static func profile(_ sysctl: Int?) -> String {
        let cause = sysctl.map { "kernel.io_uring_disabled is \($0), so " } ?? "probably "
        return cause + "a seccomp profile (a container's default one) forbids it; run with a "
            + "profile that allows io_uring_setup, io_uring_enter and io_uring_register "
            + "(--security-opt seccomp=…)"
    }

    /// The errno, by name.
    public var errnoName: String {
        switch self {
        case .denied(let code), .submission(let code), .pollDenied(let code):
            SystemError.name(code)
        case .memory: SystemError.name(ENOMEM)
        case .kernelLacks: ""
        }
    }

    private static func disabledSetting() -> Int? {
        // SAFETY: a terminated literal; the result is checked.
        let descriptor = unsafe open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        var digit: UInt8 = 0
        // SAFETY: one byte into a local.
        let count = unsafe Glibc.read(descriptor, &digit, 1)
        close(descriptor)
        guard count == 1, digit >= 48, digit <= 57 else { return nil }
        return Int(digit) - 48
    }
}

/// Names for what the system answers.
public enum SystemError {
    /// The symbol of an errno, or "errno N" for one that is not in the table.
    public static func name(_ code: Int32) -> String {
        // SAFETY: a static, terminated string, or null.
        guard let name = unsafe curing_errno_name(code) else { return "errno \(code)" }
        return unsafe String(cString: name)
    }

    /// What the errno means, as the C library words it, with its symbol.
    public static func text(_ code: Int32) -> String {
        // SAFETY: a static, terminated string, or null.
        guard let text = unsafe curing_errno_text(code) else { return name(code) }
        return unsafe String(cString: text) + " (\(name(code)))"
    }
}
