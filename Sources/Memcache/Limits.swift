// Limits: every bound of memcached's classic text protocol, by name.
//
// The parser enforces those of a request; the size of a value is a setting and comes with the
// parser. What a connection may buffer or a turn may do is the server's.

/// Bounds of the classic text protocol.
public enum Limits {
    /// Longest key, in bytes.
    public static let keyBytesMax = 250
    /// Where the end of a line may stand at the latest, for every line that has no list of keys;
    /// a list may go on for ever, but its first key begins no later than this.
    public static let lineBytesMax = 2048
    /// Longest declared value that can be framed at all: what a signed 32-bit number holds beside
    /// the line end that follows the value.
    public static let declaredBytesMax: UInt64 = (1 << 31) - 1 - 2
    /// Blanks in a list of keys that may pile up before they are dropped unseen.
    static let blankRunMax = 1024
    /// Longest reply line of a hit: `VALUE <key> <flags> <bytes> <cas>\r\n`.
    public static let headerLineBytesMax = 6 + keyBytesMax + 1 + 10 + 1 + 10 + 1 + 20 + 2
    /// Longest reply line without a key (the usage line of `delete`), with room to spare.
    public static let statusLineBytesMax = 128
}
