// ExecuteTold: meta gets that ask for more than the value of a plain record in memory: for what the
// record holds, or for words of the request.
//
// They go through the loop of ExecutePlain: their few flags are read without what other flags need,
// and the reply is written in one go. Whatever is not plain is left to ExecuteMeta; nothing was
// done then.

internal import Memcache
internal import Primitives
internal import Store

/// The flags of such a get.
private struct ToldFlags: BitwiseCopyable {
    /// The letters in their order, the first one lowest.
    private(set) var letters: UInt64 = 0
    private(set) var seen: UInt64 = 0
    /// With its letter; an offset into the words.
    private(set) var opaque = Slice(offset: 0, count: 0)

    var hasValue: Bool { seen & Self.bit("v") != 0 }

    /// None, if there is another flag among them, one twice, or an argument that is none of these'.
    @inline(__always)
    init(_ words: Span<UInt8>) {
        var shift: UInt64 = 0
        var position = 0
        while position < words.count {
            let start = position
            let letter = words[start]
            let bit: UInt64 = 1 &<< UInt64(letter & 63)
            guard letter & 0xc0 == 0x40, Self.known & ~seen & bit != 0 else { break }
            seen |= bit
            letters |= UInt64(letter) &<< shift
            shift &+= 8
            position &+= 1
            if letter == UInt8(ascii: "O") {
                while position < words.count, words[position] != 0x20 { position &+= 1 }
                opaque = Slice(
                    offset: UInt32(truncatingIfNeeded: start),
                    count: UInt32(truncatingIfNeeded: position &- start))
            }
            guard position < words.count else { return }
            guard words[position] == 0x20 else { break }
            position &+= 1
        }
        letters = 0
    }

    /// Eight: one byte of `letters` for each.
    private static var known: UInt64 {
        bit("v") | bit("s") | bit("f") | bit("c") | bit("t") | bit("k") | bit("O") | bit("q")
    }
    @inline(__always) private static func bit(_ letter: Unicode.Scalar) -> UInt64 {
        1 << UInt64(letter.value &- 64)
    }
}

extension Worker where Network: ~Copyable {
    /// Whether an entry of the batch may be such a get. With a token as long as it may be its words
    /// are longer than what is looked at.
    @inline(__always)
    mutating func mayBeTold(_ index: Int) -> Bool {
        batch[index].request.verb == .metaGet
            && batch[index].request.argument.count &- 1 < 32
    }

    /// Writes the reply to one. Returns its bytes; 0: nothing was done; -1: the connection is
    /// closed.
    @inline(__always)
    mutating func writeTold(_ index: Int, _ space: borrowing ReplySpace) -> Int {
        guard mayBeTold(index), !batch[index].request.isBinary else { return 0 }
        let words = metaWords(index)
        let flags = words.region.withBytes(
            words.offset, Int(batch[index].request.argument.count)
        ) { ToldFlags($0) }
        guard flags.letters != 0, let found = findPlain(index, space) else { return 0 }
        var writer = replyWriter(space)
        let before = writer.count
        Reply.metaHead(valueBytes: flags.hasValue ? found.valueBytes : nil, to: &writer)
        tell(index, flags, found, to: &writer)
        Reply.lineEnd(to: &writer)
        if flags.hasValue {
            writer.append(door.memory, found.valueOffset, found.valueBytes)
            Reply.lineEnd(to: &writer)
        }
        door.release(found)
        guard !writer.overflowed else {
            close(Int(batch[index].slot), .closedByFault)
            return -1
        }
        return writer.count &- before
    }

    @inline(__always)
    private mutating func tell(
        _ index: Int, _ flags: ToldFlags, _ found: Found, to writer: inout ByteWriter
    ) {
        var letters = flags.letters
        while letters != 0 {
            switch UInt8(truncatingIfNeeded: letters) {
            case UInt8(ascii: "k"):
                writeWord(
                    batch[index].input, batch[index].request.key, isKey: true, to: &writer)
            case UInt8(ascii: "O"):
                writeWord(metaWords(index), flags.opaque, isKey: false, to: &writer)
            case UInt8(ascii: "s"):
                Reply.metaNumber("s", UInt64(truncatingIfNeeded: found.valueBytes), to: &writer)
            case UInt8(ascii: "t"): writeTTL(found.expiry, to: &writer)
            case UInt8(ascii: "c"): Reply.metaNumber("c", shownCas(found.cas), to: &writer)
            case UInt8(ascii: "f"): Reply.metaNumber("f", UInt64(found.flags), to: &writer)
            default: break
            }
            letters &>>= 8
        }
    }

    @inline(__always)
    private mutating func writeWord(
        _ input: Location, _ word: Slice, isKey: Bool, to writer: inout ByteWriter
    ) {
        input.region.withBytes(input.offset &+ Int(word.offset), Int(word.count)) {
            Reply.metaWord($0, isKey: isKey, to: &writer)
        }
    }
}
