/// What is known of one exchange when it is over, refused and broken ones included.
///
/// Texts are bytes as they came; an empty one is left out of the log line. Plain values and shared arrays only, so
/// making one allocates nothing; not copyable, because a copy would count nine references up and down.
package struct ExchangeRecord: ~Copyable {
  package private(set) var requestID: RequestID
  /// Microseconds since 1970.
  package private(set) var startedAt: Int64
  package var status: Int

  package var client: ArraySlice<UInt8> = []
  package var tokenNote: ArraySlice<UInt8> = []
  /// The first four bytes of the token's SHA-256, to tell the tokens of a client apart.
  package var tokenDigestPrefix: UInt32?
  package var instance: [UInt8] = []
  package var routePattern: [UInt8] = []
  package var operation: [UInt8] = []
  package var peer: [UInt8] = []

  /// The gateway's own code where it answered itself; a literal.
  package var code: String?
  /// `not_sent` or `unknown` where the upstream failed; a literal.
  package var outcome: String?
  /// What failed, for the operator alone: it may name addresses and certificates.
  package var fault: String?
  package var bytesIn = 0
  package var bytesOut = 0
  package var tries = 0
  /// Whether the upstream connection came from the pool; nil without one.
  package var pooled: Bool?

  /// Durations in microseconds; nil for a step that was not reached.
  package var total: Int64 = 0
  package var firstByte: Int64?
  package var connect: Int64?
  package var queue: Int64?

  package init(_ requestID: RequestID, startedAt: Int64, status: Int) {
    self.requestID = requestID
    self.startedAt = startedAt
    self.status = status
  }

  /// Begins anew for another exchange. The texts, from `client` to `peer`, stay: who names them names all.
  package mutating func begin(_ requestID: RequestID, startedAt: Int64) {
    self.requestID = requestID
    self.startedAt = startedAt
    status = 0
    if code != nil { (code, outcome, fault) = (nil, nil, nil) }
    if fault != nil { fault = nil }
    (bytesIn, bytesOut, tries, pooled) = (0, 0, 0, nil)
    (total, firstByte, connect, queue) = (0, nil, nil, nil)
  }
}
