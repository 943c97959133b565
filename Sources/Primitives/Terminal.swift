// Terminal: whether a descriptor is one, and how wide it is. Not for drawing.

internal import Glibc

/// What is known of a terminal. Any thread.
public enum Terminal {
    public static let standardError: Int32 = 2

    public static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// Columns of the terminal, at least 1; nil where it does not say, or there is none.
    public static func columnCount(_ descriptor: Int32) -> Int? {
        var size = winsize()
        // SAFETY: a local of the type that the request fills.
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return Int(size.ws_col)
    }
}
