// YardstickTests
import Testing
