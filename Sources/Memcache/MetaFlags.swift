// MetaFlags: the flags of a meta command, from the words behind its key to values.
//
// Each flag is one letter, maybe with an argument, and may come once. Which of them are answered,
// and in which order, is kept in one word, so that a reply can be written when the line is gone.
// What a flag does to an item is the server's business; the lines of the errors are Reply's.

/// The flags of one meta command; a value that is read in one go.
public struct MetaFlags: BitwiseCopyable, Sendable {
    /// What a reply, or the order in which things are done, is made of; in `order`, four bits each,
    /// the first flag lowest.
    public enum Step: UInt8, BitwiseCopyable, Sendable {
        case end = 0
        case size, ttl, cas, flags, access, hit, opaque, key
        case touch, vivify, recache
    }

    /// Most words that a line may have, key and command included.
    static let wordsMax = 20
    /// Longest opaque token, its letter included.
    static let opaqueBytesMax = 32

    /// One bit for each flag that is there, by its letter.
    @usableFromInline private(set) var seen: UInt64 = 0
    /// The steps, in the order of the line.
    public private(set) var order: UInt64 = 0
    /// The opaque token with its letter; an offset into the words that were read.
    public private(set) var opaque: Slice = .empty
    /// T, N, R: seconds as sent, by the rules of `ExpiryRule`.
    public private(set) var touch: Int64 = 0
    public private(set) var vivify: Int64 = 0
    public private(set) var recache: Int64 = 0
    /// F.
    public private(set) var clientFlags: UInt32 = 0
    /// C and E.
    public private(set) var compare: UInt64 = 0
    public private(set) var next: UInt64?
    /// D and J.
    public private(set) var delta: UInt64 = 1
    public private(set) var initial: UInt64 = 0
    /// The letter behind M; 0 if there is none.
    public private(set) var mode: UInt8 = 0
    /// What is wrong, if anything is.
    public private(set) var fault: Fault.Kind?

    public init() {}

    /// What a binary touch asks for: T, and the value if it is a get as well.
    public init(touch: Int64, wantsValue: Bool) {
        self.touch = touch
        seen = 1 << (UInt64(UInt8(ascii: "T")) &- 64)
        if wantsValue { seen |= 1 << (UInt64(UInt8(ascii: "v")) &- 64) }
    }

    /// Those of `me`: whether the first is `b`. No others are looked at, as in memcached.
    public init(ofDebug words: Span<UInt8>) {
        guard words.count > 0, words[0] == UInt8(ascii: "b") else { return }
        if words.count == 1 || words[1] == 0x20 { seen = Self.bit("b") }
    }

    /// Whether the mode is one of `ms`, or none is given.
    public var hasSetMode: Bool {
        switch mode {
        case 0, UInt8(ascii: "E"), UInt8(ascii: "A"), UInt8(ascii: "P"), UInt8(ascii: "R"),
            UInt8(ascii: "S"):
            true
        default: false
        }
    }

    /// Whether the flag with this letter is there.
    @inlinable @inline(__always)
    public func has(_ letter: Unicode.Scalar) -> Bool {
        isSeen(UInt8(truncatingIfNeeded: letter.value))
    }
    @inlinable @inline(__always) func isSeen(_ letter: UInt8) -> Bool {
        letter >= 64 && letter < 128 && seen & (1 << UInt64(letter &- 64)) != 0
    }

    /// Whether a get with these flags only asks for what an item holds: its value, its length, its
    /// client flags, its CAS, its expiry; and for what the request brings along.
    public var asksForItemAlone: Bool { seen & ~Self.harmless == 0 }
    private static var harmless: UInt64 {
        bit("v") | bit("s") | bit("f") | bit("c") | bit("t") | bit("k") | bit("O") | bit("q")
    }
    @inline(__always) private static func bit(_ letter: Unicode.Scalar) -> UInt64 {
        1 << UInt64(letter.value &- 64)
    }

    /// Whether T stands before R.
    public var touchesBeforeRecache: Bool {
        var rest = order
        while let step = Self.nextStep(&rest) {
            if step == .recache { return false }
            if step == .touch { return true }
        }
        return false
    }

    /// The seconds of an item that N makes: those of T if it is there and stands behind N.
    public var vivifiedExpiry: Int64 {
        guard has("T") else { return vivify }
        var rest = order
        while let step = Self.nextStep(&rest) {
            if step == .vivify { return touch }
            if step == .touch { return vivify }
        }
        return vivify
    }

    /// Takes the first step off an `order`; nil when there is none left.
    @inlinable
    public static func nextStep(_ order: inout UInt64) -> Step? {
        guard order != 0, let step = Step(rawValue: UInt8(order & 15)) else { return nil }
        order >>= 4
        return step
    }

    /// Reads all words of `words`, which follow the key (and the length) on their line.
    public init(_ words: Span<UInt8>) {
        var position = 0
        var count = 0
        var shift: UInt64 = 0
        while true {
            while position < words.count, words[position] == 0x20 { position &+= 1 }
            guard position < words.count else { return }
            // Nearly every word is a letter, so they are not looked through eight bytes at a time.
            let start = position
            let letter = words[start]
            repeat { position &+= 1 } while position < words.count && words[position] != 0x20
            count &+= 1
            let bit: UInt64 = 1 &<< UInt64(letter & 63)
            guard letter < 127, letter >= 64, seen & bit == 0 else {
                fault = letter < 64 ? .metaUnknown : .metaTwice
                return
            }
            seen |= bit
            let step = Self.step(letter)
            if step != .end {
                order |= UInt64(step.rawValue) &<< shift
                shift &+= 4
            }
            guard Self.letters & bit != 0 || take(letter, Slice(start, position), words) else {
                fault = .metaUnknown
                return
            }
            guard count < Self.wordsMax else {
                fault = .metaTooMany
                return
            }
        }
    }

    /// Those that have no argument, or whose argument is of no matter.
    private static var letters: UInt64 {
        bit("b") | bit("k") | bit("s") | bit("t") | bit("c") | bit("f") | bit("v") | bit("h")
            | bit("l") | bit("u") | bit("q") | bit("x") | bit("I") | bit("P") | bit("L")
    }

    @inline(__always) private static func step(_ letter: UInt8) -> Step {
        switch letter {
        case UInt8(ascii: "s"): .size
        case UInt8(ascii: "t"): .ttl
        case UInt8(ascii: "c"): .cas
        case UInt8(ascii: "f"): .flags
        case UInt8(ascii: "l"): .access
        case UInt8(ascii: "h"): .hit
        case UInt8(ascii: "O"): .opaque
        case UInt8(ascii: "k"): .key
        case UInt8(ascii: "T"): .touch
        case UInt8(ascii: "N"): .vivify
        case UInt8(ascii: "R"): .recache
        default: .end
        }
    }

    /// Reads a flag with an argument; false if there is none with this letter. A wrong argument is
    /// a fault that does not end the reading.
    private mutating func take(
        _ letter: UInt8, _ word: Slice, _ words: Span<UInt8>
    ) -> Bool {
        let argument = Slice(Int(word.offset) &+ 1, word.end)
        switch letter {
        case UInt8(ascii: "T"): touch = seconds(argument, words)
        case UInt8(ascii: "N"): vivify = seconds(argument, words)
        case UInt8(ascii: "R"): recache = seconds(argument, words)
        case UInt8(ascii: "C"): compare = number(argument, words, .metaToken)
        case UInt8(ascii: "E"): next = number(argument, words, .metaToken)
        case UInt8(ascii: "D"): delta = number(argument, words, .metaDelta)
        case UInt8(ascii: "J"): initial = number(argument, words, .metaInitial)
        case UInt8(ascii: "F"):
            let wide = number(argument, words, .badFormat)
            if wide > UInt64(UInt32.max) { fault = .badFormat }
            clientFlags = UInt32(truncatingIfNeeded: wide)
        case UInt8(ascii: "M"):
            guard argument.count == 1 else {
                fault = .metaMode
                return true
            }
            mode = words[Int(argument.offset)]
        case UInt8(ascii: "O"):
            guard Int(word.count) <= Self.opaqueBytesMax else {
                fault = .metaOpaque
                return true
            }
            opaque = word
        default:
            return false
        }
        return true
    }

    private mutating func seconds(_ word: Slice, _ words: Span<UInt8>) -> Int64 {
        guard let value = Decimal.expiry(words, word) else {
            fault = .metaToken
            return 0
        }
        return value
    }

    private mutating func number(
        _ word: Slice, _ words: Span<UInt8>, _ kind: Fault.Kind
    ) -> UInt64 {
        guard let value = Decimal.unsigned(words, word) else {
            fault = kind
            return 0
        }
        return value
    }
}
