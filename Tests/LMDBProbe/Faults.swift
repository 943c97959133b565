// Faults: a writer whose disk fails and heals while it runs (under the fault interposer).

import Glibc
import LMDB

/// Runs through the faults that a disk has, and prints what each came to.
func fault(_ directory: String, control: String) throws(LMDBError) {
    func set(_ rule: String) { writeFile(control, Array(rule.utf8)) }
    set("")
    var number: UInt64 = 0
    var opened: (Environment, Tables)? = try open(directory)
    func attempt() -> String {
        do throws(LMDBError) {
            guard let opened else { return "closed" }
            try commit(number + 1, opened.0, opened.1)
            number += 1
            return "ok"
        } catch { return error.description }
    }
    for _ in 0..<3 { _ = attempt() }
    for rule in [
        "write enospc", "write eio", "write short 512", "sync eio", "write enospc after=1",
    ] {
        set(rule)
        say("\(rule): \(attempt())")
        set("")
        say("healed: \(attempt())")
    }
    // The meta page: LMDB gives up until it is opened again.
    set("write eio below=8192")
    say("meta: \(attempt())")
    set("")
    say("healed: \(attempt())")
    opened = nil
    let again = try open(directory)
    let last = try lastCommit(again.0, again.1)
    opened = again
    guard last == number else { fail("reopened at \(last), expected \(number)") }
    say("reopened: \(attempt())")
    say("commit \(number)")
}

/// Fills so much of a cache server's store with values that the server knows nothing of.
func ballast(_ directory: String, bytes: Int) throws(LMDBError) {
    let environment = try Environment(path: directory, mapBytes: 64 << 20, databasesMax: 4)
    var transaction = try environment.beginWrite()
    let meta = try transaction.openDatabase("meta", integerKeys: true, create: false)
    let piece = [UInt8](repeating: 0x55, count: 1 << 20)
    for key in 0..<UInt64(max(bytes, 0) >> 20) {
        try transaction.put(meta, key: 1 << 32 + key, bytes: piece.span)
    }
    try transaction.commit()
}
