// Batch: requests that were parsed and wait for their memory to arrive.
//
// One entry is what is needed to execute a request, and to take the parsing back: a connection
// whose request cannot be answered now goes back to the state it had before that request.

internal import Memcache
internal import Primitives

/// One parsed request.
struct Entry: BitwiseCopyable {
    var slot: UInt32
    /// Whether the peer made a mistake, which `fault` describes.
    var isFault: Bool
    /// Whether the line of keys ends behind this key.
    var endsKeys: Bool
    /// Where the bytes lie that `request` and `fault` refer to.
    var input: Location
    var hash: UInt64
    var request: Request
    var fault: Fault

    // What the connection goes back to.
    var parser: ClassicParser
    var cursor: UInt32
    var position: UInt32
    var inputBytes: Int
}
