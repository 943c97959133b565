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
