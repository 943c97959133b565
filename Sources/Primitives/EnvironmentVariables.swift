// EnvironmentVariables: takes away what a process was told for itself alone.

internal import Glibc

public enum EnvironmentVariables {
    /// Before there is any other thread.
    public static func remove(_ name: String) {
        // SAFETY: the name is lent for the call; nobody else reads the environment.
        _ = unsafe unsetenv(name)
    }
}
