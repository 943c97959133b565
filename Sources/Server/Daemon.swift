// Daemon: placeholder for the server's life from binding to exit.

public import Primitives

/// Runs the server until it is told to stop.
public enum Daemon {
    /// Serves until a signal ends it; returns the exit code of the process.
    public static func run(settings: Settings, journal: Journal) -> Int32 {
        journal.error("this build cannot serve yet")
        return 70
    }
}
