// Batch: requests that were parsed and wait for their memory to arrive.
//
// One entry is what is needed to execute a request, and to take the parsing back: a connection
// whose request cannot be answered now goes back to the state it had before that request.

internal import Memcache
internal import Primitives

/// One parsed request.
struct Entry: BitwiseCopyable {
    var slot: UInt32
    /// Whether the peer made a mistake, which `fault` describes. Otherwise that is what an entry
    /// before has left there.
    var isFault: Bool
    /// Whether the line of keys ends behind this key.
    var endsKeys: Bool
    /// Where the bytes lie that `request` and `fault` refer to.
    var input: Location
    var hash: UInt64
    /// The key's bucket, and then what the store says of the key (`Door.prefetchRecord`).
    var hint: Int
    var request: Request
    var fault: Fault

    // What the connection goes back to.
    var parser: ClassicParser
    var cursor: Input.Cursor

    /// Everything but what was parsed, in place: an entry is too long to be made and then copied.
    @inline(__always)
    mutating func begin(
        _ slot: Int, _ input: Location, _ hash: UInt64, _ parser: ClassicParser,
        _ cursor: Input.Cursor
    ) {
        self.slot = UInt32(truncatingIfNeeded: slot)
        isFault = false
        endsKeys = false
        self.input = input
        self.hash = hash
        self.parser = parser
        self.cursor = cursor
    }
}
