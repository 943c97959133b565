// TidyTests: every file of the package keeps the rules.

import Foundation
import Testing

/// The folder of the package.
private let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Files of the package that are text, by path relative to its folder.
private func files() throws -> [(path: String, text: String)] {
    let suffixes = [
        ".swift", ".c", ".h", ".md", ".yaml", ".json", ".py", ".sh", ".service", ".modulemap",
    ]
    let names = ["Makefile", ".ci/run", ".gitignore", ".swift-format", ".editorconfig"]
    let root = folder.standardizedFileURL.path + "/"
    var files: [(path: String, text: String)] = []
    for top in try FileManager.default.contentsOfDirectory(atPath: folder.path)
    where top == ".ci" || names.contains(top) || !top.hasPrefix(".") {
        let start = folder.appending(path: top)
        let below = FileManager.default.enumerator(at: start, includingPropertiesForKeys: nil)
        let urls = [start] + (below?.compactMap { $0 as? URL } ?? [])
        for url in urls {
            let path = String(url.standardizedFileURL.path.dropFirst(root.count))
            guard suffixes.contains(where: path.hasSuffix) || names.contains(path) else { continue }
            files.append((path, String(decoding: try Data(contentsOf: url), as: UTF8.self)))
        }
    }
    return files
}

@Suite struct TidyTests {
    private let checker = Checker { path in
        FileManager.default.fileExists(atPath: folder.appending(path: path).path)
    }

    @Test func everyFileIsTidy() throws {
        let files = try files()
        #expect(files.count > 30, "the package's files were not found")
        for file in files {
            for finding in checker.findings(in: file.path, file.text) {
                Issue.record("\(finding)")
            }
        }
    }

    @Test func thePackageIsTidyAsAWhole() throws {
        let checker = PackageChecker(
            manyFields: Exceptions.manyFields, outsideNames: Exceptions.outsideNames,
            demandedNames: Exceptions.demandedNames)
        for finding in checker.findings(in: try files()) { Issue.record("\(finding)") }
    }

    @Test func everyModuleHasALayer() throws {
        for top in ["Sources", "Bench"] {
            let modules = try FileManager.default
                .contentsOfDirectory(atPath: folder.appending(path: top).path)
            for module in modules where !module.contains(".") {
                let paths = try FileManager.default.subpathsOfDirectory(
                    atPath: folder.appending(path: "\(top)/\(module)").path)
                guard paths.contains(where: { $0.hasSuffix(".swift") }) else { continue }
                #expect(Layers.imports[module] != nil, "\(module) has no layer")
            }
        }
    }
}
