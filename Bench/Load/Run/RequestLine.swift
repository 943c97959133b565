// RequestLine: a request for one key in each of the three protocols, without the value.

internal import Memcache
internal import Primitives

/// What stands around the key of a request that names one key. Not for get, which may name many.
struct RequestLine: BitwiseCopyable {
    let command: LoadCommand
    /// Seconds, or a date beyond 30 days; 0 for never.
    var expiry: Int64 = 0
    /// Of the value that follows.
    var bytes = 0
    /// Comes back with the reply (binary protocol).
    var opaque: UInt32 = 0

    @inline(__always)
    func encodeClassic(_ key: Span<UInt8>, to writer: inout ByteWriter) {
        switch command {
        case .delete: RequestEncoder.delete(key, to: &writer)
        case .touch: RequestEncoder.touch(key, expiry: expiry, to: &writer)
        case .incr: RequestEncoder.increment(key, by: 1, to: &writer)
        case .decr: RequestEncoder.decrement(key, by: 1, to: &writer)
        case .gat: RequestEncoder.get(.gat, key, expiry: expiry, to: &writer)
        case .add:
            RequestEncoder.storageLine(.add, key, expiry: expiry, bytes: bytes, to: &writer)
        case .set, .get:
            RequestEncoder.storageLine(.set, key, expiry: expiry, bytes: bytes, to: &writer)
        }
    }

    @inline(__always)
    func encodeMeta(_ key: Span<UInt8>, to writer: inout ByteWriter) {
        switch command {
        case .delete: MetaEncoder.delete(key, to: &writer)
        case .touch: MetaEncoder.touch(key, expiry: expiry, to: &writer)
        case .incr, .decr:
            MetaEncoder.count(key, by: 1, isDown: command == .decr, to: &writer)
        case .gat: MetaEncoder.getAndTouch(key, expiry: expiry, to: &writer)
        case .set, .get, .add:
            MetaEncoder.setLine(
                key, expiry: expiry, bytes: bytes, isAdd: command == .add, to: &writer)
        }
    }

    @inline(__always)
    func encodeBinary(_ key: Span<UInt8>, to writer: inout ByteWriter) {
        let expiry = UInt32(truncatingIfNeeded: expiry)
        switch command {
        case .delete: BinaryEncoder.delete(key, opaque: opaque, to: &writer)
        case .touch: BinaryEncoder.touch(key, expiry: expiry, opaque: opaque, to: &writer)
        case .incr, .decr:
            BinaryEncoder.count(
                command == .incr ? .increment : .decrement, key, by: 1, opaque: opaque,
                to: &writer)
        case .gat: BinaryEncoder.getAndTouch(key, expiry: expiry, opaque: opaque, to: &writer)
        case .set, .get, .add:
            BinaryEncoder.storeHead(
                command == .add ? .add : .set, key, expiry: expiry, bytes: bytes,
                opaque: opaque, to: &writer)
        }
    }
}
