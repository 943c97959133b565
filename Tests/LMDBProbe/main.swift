// lmdb-probe: what the tests of LMDB need a process of its own for: being killed, being run under
// an interposer, crashing without taking the tests along. The commands:

//   lmdb-probe write DIRECTORY COMMITS SEED NOTES   commits, noting each one that returned
//   lmdb-probe verify DIRECTORY [NOTE]              prints the last commit if all of it is there;
//                                                   with the last note: and if it is not too old
//   lmdb-probe damage DIRECTORY SEED ROUNDS         opens and uses copies with flipped bits
//   lmdb-probe fault DIRECTORY CONTROL              writes while faults are switched on and off
//   lmdb-probe lock DIRECTORY                       holds the lock until its input ends
//   lmdb-probe churn CONTROL                        allocates and retains while it is counted

import Glibc
import LMDB

signal(SIGXFSZ, SIG_IGN)
let arguments = CommandLine.arguments

do {
    switch (arguments.dropFirst().first, arguments.count) {
    case ("write", 6):
        try write(
            arguments[2], commits: UInt64(arguments[3]) ?? 0, seed: UInt64(arguments[4]) ?? 0,
            notes: arguments[5])
    case ("verify", 3):
        try verify(arguments[2])
    case ("verify", 4):
        try verify(arguments[2], note: arguments[3])
    case ("damage", 5):
        try damage(
            arguments[2], seed: UInt64(arguments[3]) ?? 0, rounds: Int(arguments[4]) ?? 0)
    case ("fault", 4):
        try fault(arguments[2], control: arguments[3])
    case ("lock", 3):
        let lock = try StoreLock(directory: arguments[2])
        say("locked")
        _ = getchar()
        _ = consume lock
    case ("ballast", 4):
        try ballast(arguments[2], bytes: Int(arguments[3]) ?? 0)
    case ("churn", 3):
        churn(control: arguments[2])
    default:
        fail("usage: see the head of the source")
    }
} catch {
    fail("error: \(error)")
}
