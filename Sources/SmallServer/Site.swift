package import Bytes
package import HTTP1
package import Reactor

/// What a small server serves; made and called on the server's one thread.
package protocol Site: AnyObject {
  /// Writes the response to one request, in full or as far as its beginning.
  ///
  /// - Parameter bytes: those that `head` was parsed from.
  func respond(
    to head: borrowing RequestHead, _ bytes: Span<UInt8>, _ request: SmallRequest, _ output: ByteBuffer
  ) -> SmallResponse

  /// Writes the response to what is no request that it takes; the connection ends behind it.
  ///
  /// - Parameter isHead: whether it is a HEAD, to which no response has content (RFC 9110 §9.3.2).
  func refuse(_ fault: SmallRequestFault, isHead: Bool, at seconds: Int64, to output: ByteBuffer)
}

/// What comes with the head of a request.
package struct SmallRequest {
  package let body: [UInt8]
  package let peer: SocketAddress?
  /// Since 1970.
  package let seconds: Int64
  /// Whether it came while all connections but the reserved ones were in use.
  package let isReserved: Bool
}

/// What a response leaves to be done.
package struct SmallResponse {
  /// Whether there may be another request on the connection.
  package let keepsAlive: Bool
  /// Appends the next part to the output, when what was there is out; false: that was the last.
  package let more: ((ByteBuffer) -> Bool)?

  package init(keepsAlive: Bool, more: ((ByteBuffer) -> Bool)? = nil) {
    self.keepsAlive = keepsAlive
    self.more = more
  }
}

package enum SmallRequestFault {
  case head(HeadFault)
  case body(BodyFault)
}

/// How much of everything there may be.
package struct SmallServerBounds: Sendable {
  /// For one more, the connection is closed that waits longest for a request's head to be complete.
  package var connectionsMax: Int
  /// Beyond these, for requests that the site answers even then. Where no connection can make way either, a new one is
  /// closed as soon as it is accepted.
  package var reservedConnectionsMax: Int
  package var bodyBytesMax: Int
  package var headLimits = HeadLimits()
  /// How long a request may take to come, and a part of a response to go; nil: for ever.
  package var milliseconds: Int64?

  package init(connectionsMax: Int, reservedConnectionsMax: Int = 0, bodyBytesMax: Int, milliseconds: Int64?) {
    self.connectionsMax = connectionsMax
    self.reservedConnectionsMax = reservedConnectionsMax
    self.bodyBytesMax = bodyBytesMax
    self.milliseconds = milliseconds
  }
}
