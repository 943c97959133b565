// Limits: every bound of memcached's classic text protocol, by name.
//
// The parser enforces those of a request; the size of a value is a setting and comes with the
// parser. What a connection may buffer or a turn may do is the server's.

/// Bounds of the classic text protocol.
public enum Limits {
    /// Longest key, in bytes.
    public static let keyBytesMax = 250
    /// Where the end of a line may stand at the latest, for every line that has no list of keys;
    /// a list may go on for ever, but one with an expiry begins no later than this.
    public static let lineBytesMax = 2048
    /// Longest declared value that can be framed at all: what a signed 32-bit number holds beside
    /// the line end that follows the value.
    public static let declaredBytesMax: UInt64 = (1 << 31) - 1 - 2
    /// What memcached keeps with an item that has no flags: a header of 48 bytes, the CAS, a zero
    /// behind the key, and the line end behind the value.
    public static let itemOverheadBytes = 48 + 8 + 1 + 2
    /// An item's bytes as memcached counts them, which is what its limit is about.
    @inlinable @inline(__always)
    public static func itemBytes(keyBytes: Int, valueBytes: UInt64, flags: UInt32) -> UInt64 {
        valueBytes &+ UInt64(truncatingIfNeeded: keyBytes &+ itemOverheadBytes)
            &+ (flags == 0 ? 0 : 4)
    }
    /// Blanks in a list of keys that may pile up before they are dropped unseen.
    static let blankRunMax = 1024
    /// Longest reply line of a hit: `VALUE <key> <flags> <bytes> <cas>\r\n`.
    public static let headerLineBytesMax = 6 + keyBytesMax + 1 + 10 + 1 + 10 + 1 + 20 + 2
    /// Longest reply line without a key (the usage line of `delete`), with room to spare.
    public static let statusLineBytesMax = 128
}
