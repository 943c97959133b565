// FaultWatch: leaves a mark in a file if the calling thread ends the process by a fault of its own:
// a page that is not there (SIGBUS, SIGSEGV), a trap, an abort. Whoever is stopped by somebody
// else, by SIGKILL above all, leaves none.

internal import CPrimitives
internal import Glibc

/// The calling thread's watch; at most one at a time.
public enum FaultWatch {
    /// From now on a fault of this thread appends a byte to the file, which is there. Where it
    /// cannot be opened, nothing is watched.
    public static func begin(appendingTo path: String) {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return }
        if cprim_fault_watch(descriptor) != 0 { _ = close(descriptor) }
    }

    /// The watch of this thread is over, if there is one.
    public static func end() {
        let descriptor = cprim_fault_unwatch()
        if descriptor >= 0 { _ = close(descriptor) }
    }
}
