// ImageProbe: what a start makes of bytes that it finds on disk, as a function of the bytes alone:
// for the fuzzer. A store itself has no use for it.

package import Primitives
internal import SegmentLog

package enum ImageProbe {
    /// How many of the first `count` bytes of `region` are sound records, as recovery reads what
    /// the last run had open.
    package static func soundBytes(_ region: Region, count: Int) -> Int {
        SegmentImage.soundBytes(region, count: count).bytes
    }

    /// The offsets of a directory's entries; nil if it is not sound. `seals`: the checksum is made
    /// right before, which no guess would be.
    package static func offsets(
        ofDirectory region: Region, byteCount: Int, seals: Bool
    ) -> [Int]? {
        if seals { Directory.seal(region, byteCount: byteCount) }
        guard let view = Directory.View(region, byteCount: byteCount) else { return nil }
        return (0..<view.count).map { view[$0].offset }
    }

    /// The order of the entry for a record at `offset`, looked for as a first read of it would be.
    package static func order(ofRecordAt offset: Int, inDirectory bytes: Span<UInt8>) -> UInt64? {
        guard bytes.count >= Directory.headerBytes else { return nil }
        return Directory.find(offset, in: bytes)?.order
    }
}
