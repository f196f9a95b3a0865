/// What a sandbox does wrong with one write, for tests; see `SandboxServer.failNextWrites`.
package enum SandboxFault: Sendable, CaseIterable {
  /// Answers 423 `GEN_RESOURCE_LOCKED` and executes nothing. The same request succeeds later.
  case locked
  /// Answers 429 `GEN_RATE_LIMITED`, without `Retry-After`, and executes nothing.
  case rateLimited
  /// Executes the request and closes the connection without a response.
  case responseLost
  /// Executes the request and never answers; the connection stays open.
  case responseStalled
  /// Never answers, and executes the request only in `SandboxServer.executeLateWrites`; the connection stays open.
  case executedLate
  /// Answers at once; a queued transaction is stored and applied only in `SandboxServer.executeLateWrites`.
  case queuedLate
}

extension SandboxFault {
  /// The error that the fault answers with; nil if it executes the request.
  ///
  /// Status and code of 423 were observed, its text was not. The text of 429 is that of Core's limiter.
  var error: CoreError? {
    switch self {
    case .locked: CoreError(423, "GEN_RESOURCE_LOCKED", "resource locked")
    case .rateLimited: CoreError(429, "GEN_RATE_LIMITED", "You have reached maximum request limit.")
    case .responseLost, .responseStalled, .executedLate, .queuedLate: nil
    }
  }
}
