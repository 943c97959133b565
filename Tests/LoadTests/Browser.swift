// Browser: a headless Chromium with which tests look at a page as a person would.

import Glibc
import Primitives

/// What a browser made of a page.
struct Rendered {
    /// The document after everything was loaded, as the browser writes it.
    let document: String
    /// Lines of the browser's console, errors and all else.
    let console: [String]
    /// Addresses that were asked for, by the browser or by the page; not those of files.
    let requests: [String]
}

enum Browser {
    static let path: String? = ["/usr/bin/chromium", "/usr/bin/chromium-browser"]
        .first { (path: String) in access(path, X_OK) == 0 }

    /// Nothing of the browser's own is wanted, and no name is resolved.
    private static let flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--disable-extensions",
        "--disable-default-apps", "--disable-dev-shm-usage", "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        "--enable-logging=stderr", "--v=0",
    ]

    /// Loads a file. `folder` is for the browser's own files.
    static func render(_ file: String, in folder: String) throws -> Rendered {
        let log = folder + "/net.json"
        let output = try run(["--dump-dom", "--log-net-log=\(log)"], file, folder)
        let lines = output.split(separator: "\n").map(String.init)
        let network = SystemTree.text(log) ?? ""
        let start = output.firstRange(of: "<!DOCTYPE html>")?.lowerBound ?? output.endIndex
        return Rendered(
            document: String(output[start...]),
            console: lines.filter { $0.contains(":CONSOLE") },
            requests: network.matches(of: /"url":"([^"?]*)/).map { String($0.output.1) })
    }

    /// Writes a picture of a file as a window of this size shows it; its bytes.
    static func picture(_ file: String, in folder: String, width: Int, height: Int) throws
        -> Picture
    {
        let path = folder + "/picture.png"
        unlink(path)
        _ = try run(["--screenshot=\(path)", "--window-size=\(width),\(height)"], file, folder)
        return try Picture(path)
    }

    private static func run(_ options: [String], _ file: String, _ folder: String) throws
        -> String
    {
        let child = try Child(
            try path.orThrow(),
            flags + ["--user-data-dir=\(folder)/profile"] + options + ["file://\(file)"])
        return child.finish().output
    }
}

/// A picture's size, and how much there is to see in it.
struct Picture {
    let width: Int
    let height: Int
    let byteCount: Int

    /// Reads the header of a PNG (RFC 2083, 4.1.1): big-endian width and height at bytes 16, 20.
    init(_ path: String) throws {
        let descriptor = SmallFile.openForReading(path)
        defer { SmallFile.close(descriptor) }
        var header = [UInt8](repeating: 0, count: 24)
        guard read(descriptor, &header, header.count) == 24, header[1...3] == [80, 78, 71] else {
            throw ChildError(code: ENOENT)
        }
        width = header[16..<20].reduce(0) { $0 << 8 | Int($1) }
        height = header[20..<24].reduce(0) { $0 << 8 | Int($1) }
        byteCount = SmallFile.byteCount(path)
    }
}
