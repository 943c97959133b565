// GeneratorVersion: the number of this release, as results name it.

/// The generator is released with the server and has its number; a test compares the two.
public enum GeneratorVersion {
    public static let number = "0.1.0"
}
