// ConnectionRoll: who is connected, in words that any thread may read, for `stats conns`.

internal import Primitives

/// One worker's connections: descriptor and time of the last request, per slot. Only the worker
/// writes; readers may see a connection that has just ended.
struct ConnectionRoll: BitwiseCopyable, Sendable {
    private let region: Region
    let slots: Int

    init(slots: Int) throws(MemoryError) {
        self.slots = slots
        region = try Region.map(byteCount: Self.byteCount(slots: slots))
    }

    static func byteCount(slots: Int) -> Int { (slots * 8 + 4095) / 4096 * 4096 }

    func opened(_ slot: Int, descriptor: Int32, at second: UInt32) {
        region.atomic32(at: slot &* 8).storeRelaxed(UInt32(bitPattern: descriptor) &+ 1)
        active(slot, at: second)
    }

    @inline(__always)
    func active(_ slot: Int, at second: UInt32) {
        region.atomic32(at: slot &* 8 &+ 4).storeRelaxed(second)
    }

    func closed(_ slot: Int) { region.atomic32(at: slot &* 8).storeRelaxed(0) }

    /// The connection in a slot, as far as one can tell.
    func entry(_ slot: Int) -> (descriptor: Int32, active: UInt32)? {
        let bits = region.atomic32(at: slot * 8).loadRelaxed()
        guard bits != 0 else { return nil }
        return (
            Int32(bitPattern: bits &- 1), region.atomic32(at: slot * 8 + 4).loadRelaxed()
        )
    }
}
