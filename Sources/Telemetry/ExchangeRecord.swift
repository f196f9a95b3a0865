/// What is known of one exchange when it is over, refused and broken ones included.
///
/// Plain values and literals only, so making one allocates nothing; not copyable, because a copy would count references
/// up and down.
package struct ExchangeRecord: ~Copyable {
  package private(set) var requestID: RequestID
  /// Microseconds since 1970.
  package private(set) var startedAt: Int64
  package var status: Int

  /// The first four bytes of the token's SHA-256, to tell the tokens of a client apart.
  package var tokenDigestPrefix: UInt32?

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

  /// Begins anew for another exchange.
  package mutating func begin(_ requestID: RequestID, startedAt: Int64) {
    self.requestID = requestID
    self.startedAt = startedAt
    (status, tokenDigestPrefix) = (0, nil)
    if code != nil { (code, outcome, fault) = (nil, nil, nil) }
    if fault != nil { fault = nil }
    (bytesIn, bytesOut, tries, pooled) = (0, 0, 0, nil)
    (total, firstByte, connect, queue) = (0, nil, nil, nil)
  }

  /// Of the texts that it holds.
  @inline(__always)
  var literalBytes: Int {
    // Most exchanges have none of these.
    guard code != nil || outcome != nil || fault != nil else { return 0 }
    return (code?.utf8.count ?? 0) + (outcome?.utf8.count ?? 0) + (fault?.utf8.count ?? 0)
  }
}
