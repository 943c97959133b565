// StoreLayout: sizes of what the store keeps on disk and takes out of `-m`, for whoever shows them
// (docs/memory-layout.md is compared with them). All but one repeat what other files decide;
// `committerBytes` is decided here: `-m` is divided by it.

internal import LMDB

/// Bytes, as the code that reads and writes them has them.
public enum StoreLayout {
    /// Key of a sealed segment, or of its directory, or of a word of the metadata: an integer.
    public static let integerKeyBytes = 8
    /// Key of a stretch of an open segment: sequence and offset.
    public static let stretchKeyBytes = PairKey.byteCount
    /// Before the entries of a key directory, and one entry.
    public static let directoryHeaderBytes = Directory.headerBytes
    public static let directoryEntryBytes = Directory.entryBytes
    /// The shortest value of a segment: shorter ones are filled up.
    public static let segmentValueBytesMin = Committer.valueBytesMin
    /// A page of the file.
    public static let pageBytes = 4096
    /// Out of `-m` for the committer, if there is a disk; `Disk` takes so much.
    public static let committerBytes = Disk.transactionBytesMax + 3 << 20
}
