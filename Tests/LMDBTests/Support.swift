// Support: directories, bytes and child processes for these tests.

import Glibc
import LMDB
import Support

/// A directory of this test's own, removed at the end with the files in it.
typealias Scratch = Support.Scratch

extension Scratch {
    var dataFile: String { path + "/" + DataFile.name }

    func subdirectory(_ name: String) -> String {
        mkdir(path + "/" + name, 0o700)
        return path + "/" + name
    }
}

/// `count` bytes that follow from `seed`.
func pattern(_ seed: UInt64, _ count: Int) -> [UInt8] {
    var chance = Chance(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        withUnsafeBytes(of: chance.next()) { bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

func bytes(_ span: Span<UInt8>) -> [UInt8] { span.withUnsafeBufferPointer { Array($0) } }

func readFile(_ path: String, _ offset: UInt64, _ count: Int) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: count)
    let got = pread(descriptor, &bytes, count, off_t(offset))
    return Array(bytes.prefix(max(got, 0)))
}

func wholeFile(_ path: String) -> [UInt8] {
    var status = stat()
    guard stat(path, &status) == 0 else { return [] }
    return readFile(path, 0, Int(status.st_size))
}

func writeFile(_ path: String, _ bytes: [UInt8]) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { close(descriptor) }
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes {
            write(descriptor, $0.baseAddress! + written, bytes.count - written)
        }
        precondition(count > 0)
        written += count
    }
}

/// What a child process came to.
struct Outcome {
    var status: Int32
    var output: String
    /// The exit code, or minus the signal that ended it.
    var code: Int32 { status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f) }
}

/// A running child with its standard output on a pipe.
struct Child {
    let id: pid_t
    let output: Int32

    init(_ arguments: [String], environment: [String: String] = [:]) {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        var all: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = []
        var index = 0
        while let entry = environ[index] {
            variables.append(strdup(entry))
            index += 1
        }
        for (name, value) in environment { variables.append(strdup("\(name)=\(value)")) }
        variables.append(nil)
        var child: pid_t = 0
        let code = posix_spawnp(&child, arguments[0], &actions, nil, &all, &variables)
        precondition(code == 0, "cannot run \(arguments[0]): \(code)")
        for pointer in all + variables { free(pointer) }
        posix_spawn_file_actions_destroy(&actions)
        close(ends[1])
        id = child
        output = ends[0]
    }

    /// One line of output, without its end; what there was if the output ended.
    func line() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(output, &byte, 1) == 1, byte != 10 { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    func finish() -> Outcome {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(output, &buffer, buffer.count)
            guard count > 0 else { break }
            text.append(contentsOf: buffer[0..<count])
        }
        close(output)
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        return Outcome(status: status, output: String(decoding: text, as: UTF8.self))
    }
}

func run(_ arguments: [String], environment: [String: String] = [:]) -> Outcome {
    Child(arguments, environment: environment).finish()
}

/// The helper program, which lies beside the test program.
let probe: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    let path = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
    let own = String(decoding: path, as: UTF8.self)
    let beside = own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/lmdb-probe"
    if access(beside, X_OK) == 0 { return beside }
    return sourceFolder + "/../../.build/release/lmdb-probe"
}()

let sourceFolder: String = {
    #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined()
}()

/// Builds the interposers once; answers their folder.
let interposers: String = {
    let folder = sourceFolder + "/../interpose"
    let outcome = run(["make", "-s", "-C", folder])
    precondition(outcome.code == 0, "the interposers do not build: \(outcome.output)")
    return folder
}()
