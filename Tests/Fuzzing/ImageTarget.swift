// ImageTarget: bytes from disk: what cannot be a record or a directory is refused, and what is
// taken for one stays within its bytes.

import Primitives
import SegmentLog
import Store

enum ImageTarget {
    /// Where the bytes of every input come to lie: nothing else is in the way of a wrong offset, so
    /// what lies outside is looked for by value.
    private static let bytesMax = 64 << 10

    private static func region() -> Region? { try? Region.map(byteCount: bytesMax * 2) }

    private static let place = region()

    /// An input in a region, with ones behind it.
    private static func lay(_ bytes: [UInt8]) -> Region? {
        guard let place = place else { return nil }
        let count = min(bytes.count, bytesMax)
        let image = Array(bytes.prefix(count)) + [UInt8](repeating: 0xFF, count: 512)
        place.store(image.span, at: 0)
        return place
    }

    /// A run of records. An odd first byte makes their checksums right.
    static func records(_ input: [UInt8]) -> String? {
        let bytes = Array(input.dropFirst().prefix(bytesMax))
        guard let region = lay(bytes) else { return "no memory" }
        let count = bytes.count / 8 * 8
        if input.first.map({ $0 & 1 == 1 }) ?? false {
            var walk = RecordWalk(region, at: 0, end: count, isTrusted: false)
            while let (record, _) = walk.next() { record.fillChecksum() }
        }
        var walk = RecordWalk(region, at: 0, end: count, isTrusted: false)
        var end = 0
        while let (record, offset) = walk.next() {
            guard offset >= end, record.at == offset else { return "a record before \(end)" }
            end = offset + record.totalBytes
            guard end <= count, record.valueOffset + record.valueBytes <= end else {
                return "a record up to \(end), a value up to"
                    + " \(record.valueOffset + record.valueBytes), of \(count)"
            }
            _ = record.checksum()
            _ = (record.expiry, record.flags, record.cas(1), record.isTombstone)
        }
        let sound = ImageProbe.soundBytes(region, count: count)
        return sound <= count ? nil : "\(sound) sound bytes of \(count)"
    }

    /// A directory. An odd first byte makes its checksum right.
    static func directories(_ input: [UInt8]) -> String? {
        let bytes = Array(input.dropFirst().prefix(bytesMax))
        guard let region = lay(bytes) else { return "no memory" }
        let seals = input.first.map { $0 & 1 == 1 } ?? false
        let offsets = ImageProbe.offsets(
            ofDirectory: region, byteCount: bytes.count, seals: seals)
        if let offsets, offsets.count > bytes.count / 24 {
            return "\(offsets.count) entries in \(bytes.count) bytes"
        }
        for offset in (offsets ?? [0, 8]).prefix(16) {
            let order = ImageProbe.order(ofRecordAt: offset, inDirectory: bytes.span)
            let isAscending = offsets.map { zip($0, $0.dropFirst()).allSatisfy(<) } ?? false
            guard isAscending, order == nil else { continue }
            return "the entry at \(offset) is not found"
        }
        return nil
    }
}
