// The static standard library, which the release build links, has no such module.
#if canImport(Testing)
  package import Testing

  /// Stops the servers that a test has started when the test returns or throws, and adds to each failure what its gateways
  /// have logged.
  package struct ScopedFixtures: SuiteTrait, TestTrait, TestScoping {
    package var isRecursive: Bool { true }

    package func provideScope(
      for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
      let fixtures = Fixtures()
      let addsLogs = IssueHandlingTrait.compactMapIssues { issue in
        var issue = issue
        issue.comments += fixtures.takeLogs().map { Comment(rawValue: $0) }
        return issue
      }
      try await addsLogs.provideScope(for: test, testCase: testCase) {
        defer {
          for error in fixtures.stopAll() { Issue.record(error, sourceLocation: test.sourceLocation) }
        }
        try await Fixtures.$current.withValue(fixtures) {
          do {
            try await function()
          } catch let error where !(error is ExpectationFailedError) {
            // Recorded in this scope, so that the logs are added to it.
            Issue.record(error, sourceLocation: test.sourceLocation)
          }
        }
      }
    }
  }

  extension Trait where Self == ScopedFixtures {
    /// Stops the gateways, Cores and other servers that a test has started when the test ends, the last one first.
    package static var scopedFixtures: Self { ScopedFixtures() }
  }
#endif
