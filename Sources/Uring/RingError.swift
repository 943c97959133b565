// RingError: why a ring could not be made or driven.

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
}
