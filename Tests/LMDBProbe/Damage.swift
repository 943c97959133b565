// Damage: copies of a sound data file with flipped bits or a missing end, each of which must be
// refused or be usable; never crash.

import Glibc
import LMDB
import Support

func wholeFile(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    let count = Int(lseek(descriptor, 0, SEEK_END))
    var bytes = [UInt8](repeating: 0, count: count)
    guard pread(descriptor, &bytes, count, 0) == count else { fail("cannot read \(path)") }
    return bytes
}

func writeFile(_ path: String, _ bytes: [UInt8]) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    guard write(descriptor, bytes, bytes.count) == bytes.count else { fail("cannot write \(path)") }
}

/// Pages that say of themselves that they are branches or leaves, old ones included.
func treePages(_ bytes: [UInt8]) -> [Int] {
    (2..<bytes.count / 4096).filter { page in
        let start = page * 4096
        return Int(bytes[start]) | Int(bytes[start + 1]) << 8 == page
            && bytes[start + 2..<start + 8].allSatisfy { $0 == 0 }
            && (bytes[start + 10] == 1 || bytes[start + 10] == 2) && bytes[start + 11] == 0
    }
}

/// Where a flip may fall: meta pages are few, so they get their share.
func damaged(_ whole: [UInt8], _ chance: inout Chance) -> [UInt8] {
    var bytes = whole
    switch Int.random(in: 0..<10, using: &chance) {
    case 0...2:
        let page = Int.random(in: 0...1, using: &chance) * 4096
        bytes[page + Int.random(in: 0..<152, using: &chance)] ^=
            1 << UInt8.random(in: 0...7, using: &chance)
    case 3:
        bytes.removeLast(Int.random(in: 1...bytes.count, using: &chance))
    case 4:
        for _ in 0..<64 {
            let index = Int.random(in: 0..<bytes.count, using: &chance)
            bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &chance)
        }
    default:
        let page = (treePages(bytes).randomElement(using: &chance) ?? 2) * 4096
        let reach = Int.random(in: 0..<2, using: &chance) == 0 ? 64 : 4096
        for _ in 0..<Int.random(in: 1...3, using: &chance) {
            bytes[page + Int.random(in: 0..<reach, using: &chance)] ^=
                1 << UInt8.random(in: 0...7, using: &chance)
        }
    }
    return bytes
}

/// Reads, deletes and writes all over; answers how far it came.
func use(_ directory: String) throws(LMDBError) {
    let (environment, tables) = try open(directory)
    var sum = 0
    var keys: [UInt64] = []
    do {
        let reading = try environment.beginRead()
        try reading.forEach(tables.values) { key, bytes in
            for index in bytes.indices { sum &+= Int(bytes[index]) }
            keys.append(key)
            return true
        }
        try reading.withCursor(tables.pairs) { cursor throws(LMDBError) in
            while try cursor.next() {
                sum &+= try cursor.withValue { bytes in
                    var part = 0
                    for index in bytes.indices { part &+= Int(bytes[index]) }
                    return part
                }
                _ = try cursor.fileOffset()
            }
        }
        _ = try reading.freePages()
    }
    for number in 0..<UInt64(30) {
        var transaction = try environment.beginWrite()
        let key = (try transaction.lastKey(tables.values) ?? 0) &+ 1
        try transaction.put(tables.values, key: key, bytes: value(number).span)
        if !keys.isEmpty { try transaction.delete(tables.values, key: keys.removeFirst()) }
        try PairKey(number, 9).withBytes { key throws(LMDBError) in
            try transaction.put(tables.pairs, key: key, bytes: value(number + 100).span)
        }
        try transaction.commit()
    }
    var transaction = try environment.beginWrite()
    try transaction.empty(tables.values)
    try transaction.empty(tables.pairs)
    try transaction.commit()
    guard sum >= 0 else { fail("sum") }
}

func damage(_ directory: String, seed: UInt64, rounds: Int) throws(LMDBError) {
    let whole = wholeFile(directory + "/" + DataFile.name)
    let copy = directory + "/copy"
    mkdir(copy, 0o700)
    var refused = 0
    var stopped = 0
    var used = 0
    for round in 0..<rounds {
        var chance = Chance(seed: seed &* 1_000_003 &+ UInt64(round))
        writeFile(copy + "/" + DataFile.name, damaged(whole, &chance))
        // The last line tells the round that crashed.
        say("round \(round)")
        do throws(LMDBError) {
            _ = try DataFile.check(directory: copy)
            do throws(LMDBError) {
                try use(copy)
                used += 1
            } catch { stopped += 1 }
        } catch { refused += 1 }
    }
    say("refused \(refused) stopped \(stopped) used \(used)")
}
