// Places: where the package's files and its built products lie.

import Foundation

/// The folder of the package.
public let packageFolder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// The folder of the built products. They lie beside the test bundle, which is the executable of
/// the test process itself, whatever the build configuration or scratch path.
public let productsFolder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent()
