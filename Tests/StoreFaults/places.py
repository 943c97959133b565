# Where the sources lie that a mistake changes.
#
# A mistake is a name, what goes wrong, and the changes: file, text, text with ON where the switch
# goes, @ for the switch of the first mistake in the same file. Then, if the simulation seldom comes
# there, the tests that do: a pattern for `swift test --filter`.

STORE = "Sources/Store/"
LOG = "Sources/SegmentLog/"
SERVER = "Sources/Server/"
