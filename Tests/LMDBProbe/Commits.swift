// Commits: a writer whose every state can be told from its number, and the reader that does.
//
// Commit n stores value n under key n, overwrites the counter, deletes what is older than the
// window, and now and then rewrites or empties other things, so that pages are used again.

import Glibc
import LMDB
import Support

/// Prints a line at once: a crash must not swallow it.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func fail(_ line: String) -> Never {
    say(line)
    exit(1)
}

let window: UInt64 = 12
let mapBytes = 32 << 20

/// The value of commit `number`: its size and every byte follow from the number.
func value(_ number: UInt64) -> [UInt8] {
    var chance = Chance(seed: number)
    let byteCount = Int(chance.next() % (number % 3 == 0 ? 1500 : 60_000))
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount + 8)
    while bytes.count < byteCount {
        withUnsafeBytes(of: chance.next()) { bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - byteCount)
    return bytes
}

struct Tables {
    var values: Database
    var pairs: Database
    var counter: Database
}

func open(_ directory: String) throws(LMDBError) -> (Environment, Tables) {
    let environment = try Environment(path: directory, mapBytes: mapBytes, databasesMax: 4)
    var transaction = try environment.beginWrite()
    let tables = Tables(
        values: try transaction.openDatabase("values", integerKeys: true, create: true),
        pairs: try transaction.openDatabase("pairs", integerKeys: false, create: true),
        counter: try transaction.openDatabase("counter", integerKeys: true, create: true))
    try transaction.commit()
    return (environment, tables)
}

/// The number of the last commit; 0 before the first.
func lastCommit(_ environment: Environment, _ tables: Tables) throws(LMDBError) -> UInt64 {
    let reading = try environment.beginRead()
    let counter = try reading.get(tables.counter, key: 0) { bytes in
        var number: UInt64 = 0
        for index in 0..<min(8, bytes.count) { number = number << 8 | UInt64(bytes[index]) }
        return number
    }
    return counter ?? 0
}

func commit(
    _ number: UInt64, _ environment: Environment, _ tables: Tables
) throws(LMDBError) {
    var transaction = try environment.beginWrite()
    let bytes = value(number)
    try transaction.reserve(
        tables.values, key: number, byteCount: bytes.count, append: true
    ) { $0.append(bytes.span) }
    var counter: [UInt8] = []
    for index in 0..<8 { counter.append(UInt8(truncatingIfNeeded: number >> (56 - 8 * index))) }
    try transaction.put(tables.counter, key: 0, bytes: counter.span)
    for part: UInt32 in 0..<3 {
        try PairKey(number, part).withBytes { key throws(LMDBError) in
            let bytes = value(number &* 5 &+ UInt64(part))
            try transaction.put(tables.pairs, key: key, bytes: bytes.span)
        }
    }
    if number > window {
        try transaction.delete(tables.values, key: number - window)
        for part: UInt32 in 0..<3 {
            try PairKey(number - window, part).withBytes { key throws(LMDBError) in
                _ = try transaction.delete(tables.pairs, key: key)
            }
        }
    }
    try transaction.commit()
}

func write(_ directory: String, commits: UInt64, seed: UInt64, notes: String) throws(LMDBError) {
    let (environment, tables) = try open(directory)
    let descriptor = open(notes, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    let first = try lastCommit(environment, tables) + 1
    // From here on the store is there.
    let opened = Array("\(first - 1)\n".utf8)
    _ = write(descriptor, opened, opened.count)
    for number in first..<first + commits {
        try commit(number, environment, tables)
        let note = Array("\(number)\n".utf8)
        _ = write(descriptor, note, note.count)
    }
    say("written \(first + commits - 1)")
}

/// After a power cut: all that a note told of must be there, and at most one commit more. Before
/// the first note the file may be refused, but nothing worse.
func verify(_ directory: String, note: String) throws(LMDBError) {
    guard let noted = UInt64(note) else {
        do throws(LMDBError) {
            try verify(directory)
        } catch { say("refused: \(error)") }
        return
    }
    let last = try verify(directory)
    guard last == noted || last == noted + 1 else { fail("commit \(last), noted \(noted)") }
}

/// Everything that the last commit's number says must be there is, and nothing else.
@discardableResult
func verify(_ directory: String) throws(LMDBError) -> UInt64 {
    guard try DataFile.check(directory: directory, includingValues: true) != .absent else {
        throw .notFound
    }
    let (environment, tables) = try open(directory)
    let last = try lastCommit(environment, tables)
    let oldest = last > window ? last - window + 1 : 1
    let reading = try environment.beginRead()
    var expected = oldest
    try reading.forEach(tables.values) { key, bytes in
        guard key == expected, bytes.withUnsafeBufferPointer({ Array($0) }) == value(key) else {
            fail("value \(key) is wrong, expected \(expected) of \(last)")
        }
        expected += 1
        return true
    }
    guard expected == last + 1 else { fail("values end at \(expected) of \(last)") }
    for number in oldest..<max(oldest, last + 1) {
        for part: UInt32 in 0..<3 {
            let right = try PairKey(number, part).withBytes { key throws(LMDBError) in
                try reading.get(tables.pairs, key: key) { bytes in
                    bytes.withUnsafeBufferPointer { Array($0) }
                        == value(number &* 5 &+ UInt64(part))
                }
            }
            guard right == true else { fail("pair \(number) \(part) of \(last) is wrong") }
        }
    }
    say("commit \(last)")
    return last
}
