// MetaContract: what passes between the server's worker and the store for the meta commands.
//
// Plain values, as in Contract. Seconds are absolute; what a client sent was resolved before.

/// A new expiry; `isOver` is dead on arrival.
public struct MetaExpiry: BitwiseCopyable {
    public var second: UInt32
    public var isOver: Bool
    @inlinable public init(second: UInt32, isOver: Bool) {
        self.second = second
        self.isOver = isOver
    }
}

/// What a meta get does besides looking.
public struct MetaGet: BitwiseCopyable {
    /// T: the item's new expiry.
    public var touch: MetaExpiry?
    /// N: makes an empty item if there is none.
    public var vivify: MetaExpiry?
    /// R: who comes when the item expires before this second wins it, if nobody has.
    public var recacheBefore: UInt32?
    /// Whether T stands before R.
    public var touchesFirst = false
    /// E: the CAS of an item that N makes; nil for the next.
    public var next: UInt64?
    /// Whether the look counts as an access.
    public var isAccess = true
    /// Whether the value is to be answered: a large one that is to be changed is pinned first.
    public var wantsValue = false
    /// Where the large record lies that is pinned (`Found.recordOffset`), if one is.
    public var pinnedAt: Int?
    /// The longest value that can be answered now, of those that are copied at all.
    public var valueBytesMax = Door.copyBytesMax
    /// Whether it may win at all.
    public var mayWin = true
    @inlinable public init() {}
}

/// What a meta get has learned of an item.
public struct MetaFacts: BitwiseCopyable {
    /// Before this get: whether it was ever fetched, seconds since the last access, its expiry.
    public var wasFetched = false
    public var accessAge: UInt32 = 0
    public var expiryBefore: UInt32 = 0
    /// And its expiry now; 0 for never.
    public var expiry: UInt32 = 0
    public var isStale = false
    /// Whether somebody else has won it already.
    public var wasSent = false
    /// Whether this get is the one that shall renew it.
    public var isWon = false
    /// Whether anything was written: with `ack` the reply waits.
    public var isChanged = false
    /// Whether this get has made it.
    public var isMade = false
    @inlinable public init() {}
}

/// What a meta get came to.
public enum MetaLookup: BitwiseCopyable {
    case miss
    /// A miss whose record was still in memory.
    case dead(Death)
    /// The shard is locked until `Door.release`.
    case found(Found, MetaFacts)
    /// Nothing was done yet: pin it, and come again with `pinnedAt`. Another one than the pinned
    /// may be the key's by then: it is answered so, too. The shard is locked.
    case large(Found)
    /// An item that was made, and is over already.
    case made(MetaFacts, cas: UInt64)
    case wait, noOrder
    case read(DiskRead)
}

/// A meta set, but for key and value.
public struct MetaSet: BitwiseCopyable {
    public var mode: StoreMode = .set
    public var flags: UInt32 = 0
    public var expiry = MetaExpiry(second: 0, isOver: false)
    /// C: the item's CAS must be this.
    public var compare: UInt64?
    /// E: the CAS it gets; nil for the next.
    public var next: UInt64?
    /// I: with an item that is newer than `compare`, the value is stored as stale.
    public var allowsStale = false
    /// N: append and prepend store a value where there is none.
    public var vivifies = false
    @inlinable public init() {}

    /// Whether what is there may be replaced without being looked at.
    var takesUnread: Bool { mode == .set && compare == nil }
}

/// A meta delete.
public struct MetaDelete: BitwiseCopyable {
    public var compare: UInt64?
    public var next: UInt64?
    /// I: marks the item as stale instead.
    public var marksStale = false
    /// `x`: takes the value away, and keeps the item.
    public var removesValue = false
    public var flags: UInt32 = 0
    /// T.
    public var expiry: MetaExpiry?
    @inlinable public init() {}
}

/// A meta arithmetic.
public struct MetaArithmetic: BitwiseCopyable {
    public var delta: UInt64 = 1
    public var isDecrement = false
    public var compare: UInt64?
    public var next: UInt64?
    public var touch: MetaExpiry?
    /// N: makes an item with the number `initial`.
    public var vivify: MetaExpiry?
    public var initial: UInt64 = 0
    @inlinable public init() {}
}

/// What a meta change came to, with what a reply may tell of the item.
public struct MetaChanged: BitwiseCopyable {
    public var outcome: Outcome
    public var cas: UInt64 = 0
    public var valueBytes = 0
    public var expiryBefore: UInt32 = 0
    public var expiry: UInt32 = 0
    /// Whether a number was made because there was none.
    public var isMade = false
    /// Whether a staged value's room has become the item's.
    var keepsRoom = false
    @inlinable public init(_ outcome: Outcome) { self.outcome = outcome }
}
