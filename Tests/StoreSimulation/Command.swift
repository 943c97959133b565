// Command: one command of one client, and what the model says of its answer.

import Primitives
import Store
import Support

/// A command with everything that it needs; nothing is drawn while it runs but by others.
struct Command {
    enum Kind {
        case get
        case store(StoreMode)
        case cas(isRight: Bool)
        case number
        case delete, touch, gat
        case add(UInt64, isDecrement: Bool)
        case flush(after: UInt32)
    }

    let kind: Kind
    var key: Int
    let size: Int
    let flags: UInt32
    /// Seconds; 0: never; below 0: dead on arrival.
    let lifetime: Int
    let isStaged: Bool

    init(_ chance: inout Chance, _ casting: Casting) {
        let isHot = chance.below(3) > 0
        key = isHot ? chance.below(max(casting.keys / 6, 2)) : chance.below(casting.keys)
        let base = casting.sizes[chance.below(casting.sizes.count)]
        size = base < 64 ? base : base - chance.below(base / 3)
        flags = UInt32(chance.below(3))
        lifetime = chance.below(5) > 0 ? 0 : chance.below(12) == 0 ? -1 : 1 + chance.below(400)
        isStaged = chance.below(8) == 0
        switch chance.below(100) {
        case 0..<34:
            kind =
                casting.flushesOften && chance.below(20) == 0
                ? .flush(after: UInt32(chance.below(3))) : .get
        case 34..<60: kind = .store(.set)
        case 60..<63: kind = .store(.add)
        case 63..<66: kind = .store(.replace)
        case 66..<69: kind = .store(.append)
        case 69..<71: kind = .store(.prepend)
        case 71..<75: kind = .cas(isRight: chance.below(2) == 0)
        case 75..<78: kind = .number
        case 78..<84: kind = .add(UInt64(chance.below(500)), isDecrement: chance.below(3) == 0)
        case 84..<93: kind = .delete
        case 93..<96: kind = .touch
        case 96..<99: kind = .gat
        default:
            kind =
                chance.below(6) > 0
                ? .get : .flush(after: chance.below(2) == 0 ? 0 : UInt32(1 + chance.below(60)))
        }
    }

    /// A get of a key.
    init(getting key: Int) {
        kind = .get
        self.key = key
        size = 0
        flags = 0
        lifetime = 0
        isStaged = false
    }

    private var name: [UInt8] { Array("key:\(key)".utf8) }

    /// Bytes that name the command: wherever a piece lies, it can be told.
    static func bytes(_ id: Int, _ count: Int) -> [UInt8] {
        let head = Array("v\(id):".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 16)
        if count <= head.count { return Array(head.prefix(count)) }
        bytes += head
        var word = UInt64(truncatingIfNeeded: id) &* 0x9E37_79B9_7F4A_7C15
        while bytes.count < count {
            withUnsafeBytes(of: word) { bytes += $0 }
            word &+= 0x0101_0101_0101_0105
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    func execute(_ play: Play, _ client: PlayedClient) {
        guard play.isRunning, !client.isBusy else { return }
        client.busily {
            switch kind {
            case .get: get(play, client)
            case .flush(let after): flush(play, client, after)
            default: change(play, client)
            }
        }
    }

    private func expiry(_ play: Play) -> UInt32 {
        lifetime <= 0 ? 0 : play.now.unixSeconds + UInt32(lifetime)
    }

    private func get(_ play: Play, _ client: PlayedClient) {
        let wasRecovering = play.isRecovering
        let number = play.model.beginGet(key)
        let isCertain = play.model.isCertain(key)
        let got = client.get(name)
        guard !play.isDead else { return }
        switch got {
        case .item(let item):
            play.trace?(
                "      \(client.number) get \(key) -> \(TruthModel.describe(item.bytes)) "
                    + "cas \(item.cas)")
            play.model.endGet(
                number, item.bytes, flags: item.flags, expiry: item.expiry, cas: item.cas,
                now: client.lastLook)
            play.didOperate(hit: true)
        case .miss:
            play.trace?("      \(client.number) get \(key) -> miss")
            play.model.abandonGet(number)
            play.didOperate(hit: false)
            let isStill = play.model.isCertain(key)
            if play.casting.isRoomy, isCertain, isStill, !wasRecovering, !play.isTroubled {
                play.fail("key \(key) is lost: \(play.describe())")
            }
        case .stuck:
            play.trace?("      \(client.number) get \(key) -> stuck")
            play.model.abandonGet(number)
        }
    }

    private func flush(_ play: Play, _ client: PlayedClient, _ after: UInt32) {
        client.begin()
        let second = play.now.unixSeconds + after
        client.door.flushAll(at: after == 0 ? nil : second)
        let commits = play.commits
        play.trace?("      \(client.number) flush_all \(after == 0 ? "now" : "at \(second)")")
        if after == 0 {
            play.model.flushAll(
                isCertain: true, commit: commits.begun + 1, completed: commits.completed)
        }
        play.model.flush.change([after == 0 ? 0 : UInt64(second)], commit: commits.begun + 1)
        client.door.endTurn()
        play.didOperate(hit: true)
    }

    private func change(_ play: Play, _ client: PlayedClient) {
        let name = name
        let expiry = expiry(play)
        let isExpired = lifetime < 0
        let id = play.model.newId()
        play.lastChanged = (key, client.number)
        switch kind {
        case .store(let mode):
            let value = Self.bytes(id, size)
            store(play, client, mode, name, value, id, expiry, isExpired, cas: 0)
        case .number:
            let value = Array("\(id)".utf8)
            store(play, client, .set, name, value, id, expiry, isExpired, cas: 0)
        case .cas(let isRight):
            guard let seen = play.model.anyCas(key) else { return }
            let value = Self.bytes(id, size)
            let cas = isRight ? seen : seen &- 1
            store(play, client, .cas, name, value, id, expiry, isExpired, cas: cas)
        case .delete:
            client.change(name) { door, hash, except in
                door.remove(name.span, hash: hash, except: except)
            } settle: { answer in
                judge(play, client, answer, [.deleted, .notFound]) { _ in nil }
            }
        case .touch:
            client.change(name) { door, hash, except in
                door.touch(
                    name.span, hash: hash, expiry: expiry, isExpired: isExpired, except: except)
            } settle: { answer in
                judge(play, client, answer, isExpired ? [.touched, .notFound] : [.touched]) { old in
                    guard !isExpired else { return nil }
                    var new = old
                    new?.expiry = expiry
                    return new
                }
            }
        case .gat:
            client.gat(name, expiry: expiry, isExpired: isExpired) { item in
                judgeTouched(play, client, item, expiry, isExpired)
            }
        case .add(let delta, let isDecrement): add(play, client, name, delta, isDecrement, id)
        case .get, .flush: break
        }
    }

    private func store(
        _ play: Play, _ client: PlayedClient, _ mode: StoreMode, _ name: [UInt8],
        _ value: [UInt8], _ id: Int, _ expiry: UInt32, _ isExpired: Bool, cas: UInt64
    ) {
        let settle: (Answer) -> Void = { answer in
            judgeStore(play, client, answer, mode, value, id, expiry, isExpired, cas)
        }
        guard isStaged else {
            var wasStuck = false
            client.change(
                name,
                { door, hash, except in
                    door.store(
                        mode, key: name.span, hash: hash, value: value.span, flags: flags,
                        expiry: expiry, isExpired: isExpired, cas: cas, except: except)
                },
                settle: { answer in
                    wasStuck = answer == .stuck || answer == .noOrder
                    settle(answer)
                })
            if wasStuck, mode == .set { forget(play, client) }
            return
        }
        guard value.count <= play.itemBytesMax else { return }
        guard let staging = client.stage(name, value, flags: flags, expiry: expiry) else { return }
        client.stagedBytes = value.count
        defer { client.stagedBytes = 0 }
        var wasStuck = false
        client.change(
            name,
            { door, _, except in
                door.store(
                    mode, staging: staging, isExpired: isExpired, cas: cas, except: except)
            },
            settle: { answer in
                wasStuck = answer == .stuck || answer == .noOrder
                settle(answer)
            })
        guard wasStuck, !play.isDead else { return }
        client.door.abandon(staging)
        if mode == .set { forget(play, client) }
    }

    // MARK: Judging

    /// Whether the answer is possible, and what it leaves.
    ///
    /// - Parameter next: what an old state becomes.
    private func judge(
        _ play: Play, _ client: PlayedClient, _ answer: Answer, _ changing: [Answer],
        _ next: (KeyState) -> KeyState
    ) {
        guard !play.isDead else { return }
        play.trace?("      \(client.number) \(kind) \(key) size \(size) -> \(answer)")
        play.didOperate(hit: answer != .stuck)
        guard changing.contains(answer) else { return }
        if play.isRecovering { play.checkRemovals(of: key) }
        let alive = play.model.alive(key, client.lastTurn)
        let commits = play.commits
        switch answer {
        case .deleted, .notFound:
            play.model.change(
                key, [nil], commit: commits.begun + 1, completed: commits.completed)
        default:
            guard !alive.isEmpty else {
                return play.fail("\(kind) of \(key) answered \(answer); nothing is there")
            }
            play.model.change(
                key, Register.join([alive.map { next($0) }]), commit: commits.begun + 1,
                completed: commits.completed)
        }
    }

    private func judgeTouched(
        _ play: Play, _ client: PlayedClient, _ item: PlayedItem?, _ expiry: UInt32,
        _ isExpired: Bool
    ) {
        guard !play.isDead else { return }
        guard let item else {
            // It is as good as removed, whatever there was.
            if isExpired { judge(play, client, .notFound, [.notFound]) { _ in nil } }
            return
        }
        let isSame: (ValueState) -> Bool = { $0.bytes == item.bytes && $0.flags == item.flags }
        guard play.model.alive(key, client.lastTurn).contains(where: isSame) else {
            return play.fail(
                "gat of \(key) answered \(TruthModel.describe(item.bytes)); it may be "
                    + TruthModel.describe(play.model.alive(key, client.lastTurn).map { $0 }))
        }
        play.model.narrow(key, isSame)
        judge(play, client, .touched, [.touched]) { old in
            guard !isExpired else { return nil }
            var new = old
            new?.expiry = expiry
            return new
        }
    }

    /// A set that has failed for want of memory: the value that it was to replace goes.
    private func forget(_ play: Play, _ client: PlayedClient) {
        guard !play.isDead else { return }
        client.begin()
        let lasts = client.door.forget(name.span, hash: client.door.hash(name.span))
        let commits = play.commits
        let old = play.model.possible(key)
        play.trace?("      \(client.number) forgot \(key), lasts: \(lasts)")
        play.model.change(
            key, lasts ? [nil] : Register.join([[nil], old]), commit: commits.begun + 1,
            completed: commits.completed)
        if case .miss = client.look(name) {
        } else {
            play.fail("key \(key) outlived a set that failed")
        }
        client.door.endTurn()
    }

    private func judgeStore(
        _ play: Play, _ client: PlayedClient, _ answer: Answer, _ mode: StoreMode,
        _ value: [UInt8], _ id: Int, _ expiry: UInt32, _ isExpired: Bool, _ cas: UInt64
    ) {
        guard !play.isDead else { return }
        let new = ValueState(bytes: value, flags: flags, expiry: expiry, id: id)
        let alive = play.model.alive(key, client.lastTurn)
        switch (mode, answer) {
        case (.append, .stored), (.prepend, .stored):
            judge(play, client, answer, [.stored]) { old in
                guard var joined = old else { return nil }
                joined.bytes = mode == .append ? joined.bytes + value : value + joined.bytes
                joined.id = id
                return joined
            }
        case (_, .stored):
            if mode == .replace, alive.isEmpty { play.fail("replaced \(key), which is not there") }
            if mode == .cas, let token = play.model.id(ofCas: cas, key),
                !alive.contains(where: { $0.id == token })
            {
                play.fail("cas of \(key) with \(cas) has replaced another value")
            }
            if mode == .add, play.casting.isRoomy, play.model.isCertain(key),
                !play.isRecovering, !play.isTroubled
            {
                play.fail("added \(key), which is there")
            }
            play.trace?("      \(client.number) \(mode) \(key) \(value.count) -> \(answer) v\(id)")
            play.didOperate(hit: true)
            let commits = play.commits
            play.model.change(
                key, [isExpired ? nil : new], commit: commits.begun + 1,
                completed: commits.completed)
        default:
            if answer == .notStored, mode == .add, alive.isEmpty {
                play.fail("add found \(key), which is not there")
            }
            if answer == .exists, let token = play.model.id(ofCas: cas, key), !alive.isEmpty,
                alive.allSatisfy({ $0.id == token })
            {
                play.fail("cas of \(key) with \(cas) was refused")
            }
            if answer == .exists, alive.isEmpty { play.fail("cas found \(key)") }
            judge(play, client, answer, []) { $0 }
        }
    }

    private func add(
        _ play: Play, _ client: PlayedClient, _ name: [UInt8], _ delta: UInt64,
        _ isDecrement: Bool, _ id: Int
    ) {
        client.change(name) { door, hash, except in
            door.add(
                delta, isDecrement: isDecrement, key: name.span, hash: hash, except: except)
        } settle: { answer in
            guard case .number(let sum) = answer else {
                return judge(play, client, answer, []) { $0 }
            }
            guard !play.isDead else { return }
            let isIt: (ValueState) -> Bool = {
                count($0.bytes, by: delta, isDecrement: isDecrement)?.sum == sum
            }
            play.model.narrow(key, isIt)
            let alive = play.model.alive(key, client.lastTurn)
            guard alive.contains(where: isIt) else {
                return play.fail(
                    "incr of \(key) by \(delta) answered \(sum); it may be "
                        + TruthModel.describe(alive.map { $0 }))
            }
            judge(play, client, answer, [answer]) { old in
                guard var new = old else { return nil }
                new.bytes = counted(new.bytes, sum)
                new.id = id
                return new
            }
        }
    }
}
