// Command: the first word of a line, told apart by one comparison.
//
// A name of up to eight bytes is compared as one little-endian word; the four that are longer
// begin with different bytes. It does not know what may follow a command.

import Primitives

/// What the first word of a line names.
enum Command: BitwiseCopyable {
    case classic(Verb)
    case meta(Verb)
    case unknown

    @inline(__always)
    init(_ input: Span<UInt8>, _ name: Slice) {
        let head = ByteScan.word(in: input, at: Int(name.offset))
        switch name.count {
        case 2...7:
            self = Command.short(head & (1 << (8 &* UInt64(name.count)) &- 1))
        case 8:
            self = Command.short(head)
        default:
            self = Command.long(input, name, head)
        }
    }

    private static func short(_ word: UInt64) -> Command {
        switch word {
        case 0x74_6567: .classic(.get)  // get
        case 0x7374_6567: .classic(.gets)  // gets
        case 0x74_6167: .classic(.gat)  // gat
        case 0x7374_6167: .classic(.gats)  // gats
        case 0x74_6573: .classic(.set)  // set
        case 0x64_6461: .classic(.add)  // add
        case 0x65_6361_6c70_6572: .classic(.replace)  // replace
        case 0x646e_6570_7061: .classic(.append)  // append
        case 0x64_6e65_7065_7270: .classic(.prepend)  // prepend
        case 0x73_6163: .classic(.cas)  // cas
        case 0x6574_656c_6564: .classic(.delete)  // delete
        case 0x7263_6e69: .classic(.incr)  // incr
        case 0x7263_6564: .classic(.decr)  // decr
        case 0x68_6375_6f74: .classic(.touch)  // touch
        case 0x6e_6f69_7372_6576: .classic(.version)  // version
        case 0x7469_7571: .classic(.quit)  // quit
        case 0x6e6d: .classic(.noop)  // mn
        case 0x73_7461_7473: .classic(.stats)  // stats
        case 0x6e77_6f64_7475_6873: .classic(.shutdown)  // shutdown
        case 0x73_6261_6c73: .classic(.slabs)  // slabs
        case 0x75_726c: .classic(.lru)  // lru
        case 0x68_6374_6177: .classic(.watch)  // watch
        case 0x6572_6f74_7374_7865: .classic(.extstore)  // extstore
        case 0x676d: .meta(.metaGet)  // mg
        case 0x736d: .meta(.metaSet)  // ms
        case 0x646d: .meta(.metaDelete)  // md
        case 0x616d: .meta(.metaArithmetic)  // ma
        case 0x656d: .meta(.metaDebug)  // me
        default: .unknown
        }
    }

    private static func long(_ input: Span<UInt8>, _ name: Slice, _ head: UInt64) -> Command {
        let start = Int(name.offset)
        switch (name.count, head) {
        case (9, 0x6c61_5f68_7375_6c66) where input[start &+ 8] == UInt8(ascii: "l"):
            return .classic(.flushAll)
        case (9, 0x7469_736f_6272_6576) where input[start &+ 8] == UInt8(ascii: "y"):
            return .classic(.verbosity)
        case (9, 0x6d69_7467_7562_6564) where input[start &+ 8] == UInt8(ascii: "e"):
            return .classic(.debugTime)
        case (11, 0x7761_7263_5f75_726c)
        where ByteScan.word(in: input, at: start &+ 3) == 0x7265_6c77_6172_635f:
            return .classic(.lruCrawler)  // "lru_craw" and "_crawler"
        case (14, 0x656d_5f65_6863_6163)
        where ByteScan.word(in: input, at: start &+ 6) == 0x7469_6d69_6c6d_656d:
            return .classic(.cacheMemlimit)  // "cache_me" and "memlimit"
        default:
            return .unknown
        }
    }
}
