// BinaryOpcode: the commands and statuses of the binary protocol, by their numbers.
//
// Which fields a command has is told here, because framing needs it; what a command does is the
// server's business. Numbers: memcached's protocol_binary.h.

/// Commands of the binary protocol.
///
/// Those with a Q are quiet: a set and its like answer only errors, a get only hits. Those with a K
/// answer with the key.
public enum BinaryOpcode: UInt8, BitwiseCopyable, Sendable {
    case get = 0x00
    case set = 0x01
    case add = 0x02
    case replace = 0x03
    case delete = 0x04
    case increment = 0x05
    case decrement = 0x06
    case quit = 0x07
    case flush = 0x08
    case getQ = 0x09
    case noop = 0x0A
    case version = 0x0B
    case getK = 0x0C
    case getKQ = 0x0D
    case append = 0x0E
    case prepend = 0x0F
    case stat = 0x10
    case setQ = 0x11
    case addQ = 0x12
    case replaceQ = 0x13
    case deleteQ = 0x14
    case incrementQ = 0x15
    case decrementQ = 0x16
    /// Ends the connection without an answer.
    case quitQ = 0x17
    case flushQ = 0x18
    case appendQ = 0x19
    case prependQ = 0x1A
    case verbosity = 0x1B
    case touch = 0x1C
    case getAndTouch = 0x1D
    case getAndTouchQ = 0x1E
    case saslMechanisms = 0x20
    case saslStart = 0x21
    case saslStep = 0x22
    case getAndTouchK = 0x23
    case getAndTouchKQ = 0x24

    /// Whether a miss, or success without anything to tell, is not answered.
    public var isQuiet: Bool {
        switch self {
        case .getQ, .getKQ, .setQ, .addQ, .replaceQ, .deleteQ, .incrementQ, .decrementQ, .quitQ,
            .flushQ, .appendQ, .prependQ, .getAndTouchQ, .getAndTouchKQ:
            true
        default: false
        }
    }

    /// Whether the reply to a get repeats the key.
    public var returnsKey: Bool {
        self == .getK || self == .getKQ || self == .getAndTouchK || self == .getAndTouchKQ
    }

    /// Whether a value to store follows the key.
    public var storesValue: Bool {
        switch self {
        case .set, .setQ, .add, .addQ, .replace, .replaceQ, .append, .appendQ, .prepend,
            .prependQ:
            true
        default: false
        }
    }

    /// Whether it is part of signing in.
    public var signsIn: Bool { self == .saslStart || self == .saslStep }

    /// Whether a request with fields of these lengths can be this command's.
    func allows(extras: Int, key: Int, value: UInt32) -> Bool {
        switch self {
        case .version, .noop, .quit, .quitQ, .saslMechanisms:
            extras == 0 && key == 0 && value == 0
        case .flush, .flushQ: (extras == 0 || extras == 4) && key == 0 && value == 0
        case .set, .setQ, .add, .addQ, .replace, .replaceQ: extras == 8 && key > 0
        case .append, .appendQ, .prepend, .prependQ: extras == 0 && key > 0
        case .get, .getQ, .getK, .getKQ, .delete, .deleteQ: extras == 0 && key > 0 && value == 0
        case .increment, .incrementQ, .decrement, .decrementQ:
            extras == 20 && key > 0 && value == 0
        case .stat: extras == 0 && value == 0
        case .verbosity: extras == 4 && key == 0 && value == 0
        case .touch, .getAndTouch, .getAndTouchQ, .getAndTouchK, .getAndTouchKQ:
            extras == 4 && key > 0 && value == 0
        case .saslStart, .saslStep:
            extras == 0 && key > 0 && value <= BinaryHead.credentialBytesMax
        }
    }
}

/// Statuses of binary replies; each but `ok` and `authContinue` has a text (`BinaryReply`).
public enum BinaryStatus {
    public static let ok: UInt16 = 0x00
    public static let notFound: UInt16 = 0x01
    public static let exists: UInt16 = 0x02
    public static let tooLarge: UInt16 = 0x03
    public static let invalid: UInt16 = 0x04
    public static let notStored: UInt16 = 0x05
    public static let notNumeric: UInt16 = 0x06
    /// Not signed in, or not allowed.
    public static let authError: UInt16 = 0x20
    public static let authContinue: UInt16 = 0x21
    public static let unknownCommand: UInt16 = 0x81
    public static let outOfMemory: UInt16 = 0x82
}

/// What a reply repeats of its request.
public struct BinaryHead: BitwiseCopyable, Equatable, Sendable {
    /// Longest token of a sign-in, in bytes.
    static let credentialBytesMax: UInt32 = 1024

    public var opaque: UInt32 = 0
    /// As it came: a command that does not exist is answered, too.
    public var opcode: UInt8 = 0

    @inlinable public init() {}
    @inlinable public init(opcode: UInt8, opaque: UInt32) {
        self.opcode = opcode
        self.opaque = opaque
    }

    public var isQuiet: Bool { BinaryOpcode(rawValue: opcode)?.isQuiet ?? false }
    public var returnsKey: Bool { BinaryOpcode(rawValue: opcode)?.returnsKey ?? false }
}
