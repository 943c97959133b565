// FaultPlan: what goes wrong in a simulation, and how often.
//
// Only what the kernel may really do is in here. A plan with everything at zero is a kernel in
// its best mood; it still delivers later than one would like.

internal import Support

/// How often each misfortune strikes when it could, in times per thousand.
public struct FaultPlan: BitwiseCopyable, Equatable, Sendable {
    /// A receive takes less than has arrived.
    public var shortReceives = 0
    /// A send takes less than there is room for.
    public var shortSends = 0
    /// The completions of a turn come in another order; those of one operation keep theirs.
    public var reordering = 0
    /// An operation makes no progress in this turn.
    public var delays = 0
    /// What has completed is not told in this turn.
    public var withheldCompletions = 0
    /// The peer resets the connection, instead of an answer to a receive or send.
    public var resets = 0
    /// A receive finds no buffer although some are lent; only while others are taken.
    public var dryBuffers = 0
    /// A multishot operation ends with its next completion.
    public var lostArming = 0
    /// A completion for an operation of a connection that was closed in an earlier turn.
    public var staleCompletions = 0
    /// A read fails with -EIO.
    public var readErrors = 0
    /// A read brings fewer bytes than asked for.
    public var shortReads = 0
    /// A read brings a wrong bit, as a disk does that lies; in no plan unless asked for.
    public var damagedReads = 0
    /// A read waits for `stalledTurns` submits, or until `releaseReads`.
    public var stalledReads = 0
    /// The submission queue counts as full, so the ring submits between two operations.
    public var fullQueue = 0
    /// The completion queue counts as full: every multishot operation with something to tell in
    /// this turn ends.
    public var overflows = 0
    /// A cancel comes too late: -EALREADY, and the operation goes on.
    public var lateCancels = 0

    public init() {}

    /// Nothing goes wrong.
    public static var none: FaultPlan { FaultPlan() }

    /// Everything goes wrong, often enough to be met in a few hundred turns.
    public static var rough: FaultPlan {
        var plan = FaultPlan()
        for fault in Fault.allCases where fault != .damagedReads { plan[fault] = 100 }
        plan.resets = 2
        plan.reordering = 500
        return plan
    }

    /// Each fault is off, rare or frequent, drawn from the seed.
    public init(seed: UInt64) {
        var chance = Chance(seed: seed)
        for fault in Fault.allCases where fault != .damagedReads {
            switch chance.below(3) {
            case 0: self[fault] = 0
            case 1: self[fault] = 1 + chance.below(50)
            default: self[fault] = 50 + chance.below(400)
            }
        }
        resets /= 20
    }
}

/// The name of each misfortune. Plain numbers, not key paths: a simulation asks some times in every
/// turn.
enum Fault: Int, CaseIterable {
    case shortReceives, shortSends, reordering, delays, withheldCompletions, resets, dryBuffers
    case lostArming, staleCompletions, readErrors, shortReads, stalledReads, fullQueue, overflows
    case lateCancels, damagedReads
}

extension FaultPlan {
    subscript(fault: Fault) -> Int {
        get {
            switch fault {
            case .shortReceives: shortReceives
            case .shortSends: shortSends
            case .reordering: reordering
            case .delays: delays
            case .withheldCompletions: withheldCompletions
            case .resets: resets
            case .dryBuffers: dryBuffers
            case .lostArming: lostArming
            case .staleCompletions: staleCompletions
            case .readErrors: readErrors
            case .shortReads: shortReads
            case .stalledReads: stalledReads
            case .fullQueue: fullQueue
            case .overflows: overflows
            case .lateCancels: lateCancels
            case .damagedReads: damagedReads
            }
        }
        set {
            switch fault {
            case .shortReceives: shortReceives = newValue
            case .shortSends: shortSends = newValue
            case .reordering: reordering = newValue
            case .delays: delays = newValue
            case .withheldCompletions: withheldCompletions = newValue
            case .resets: resets = newValue
            case .dryBuffers: dryBuffers = newValue
            case .lostArming: lostArming = newValue
            case .staleCompletions: staleCompletions = newValue
            case .readErrors: readErrors = newValue
            case .shortReads: shortReads = newValue
            case .stalledReads: stalledReads = newValue
            case .fullQueue: fullQueue = newValue
            case .overflows: overflows = newValue
            case .lateCancels: lateCancels = newValue
            case .damagedReads: damagedReads = newValue
            }
        }
    }
}
