// TidyTests
import Testing
